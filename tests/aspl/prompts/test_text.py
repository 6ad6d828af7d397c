import pytest
import torch
import torch.nn.functional as F

from aspl.errors import LabelsInvalid
from aspl.methods import METHODS
from aspl.prompts.text import NUM_CONTEXT_TOKENS

PROMPTED = [name for name, method in METHODS.items() if not method.is_closed_form]
LABELS = ["dog", "rain on a tin roof", "猫の声"]


@pytest.fixture(scope="module")
def audio(clap):
    return F.normalize(torch.randn(5, clap.joint_width, generator=torch.Generator().manual_seed(2)), dim=-1)


def num_parameters(prompt) -> int:
    return sum(parameter.numel() for parameter in prompt.parameters())


def test_parameter_counts(clap):
    width, text_width, classes = clap.joint_width, clap.text_width, len(LABELS)
    hidden = width // 16
    context = NUM_CONTEXT_TOKENS * text_width
    meta_net = width * hidden + hidden + hidden * text_width + text_width
    expected = {"zero_shot": 0, "coop": context, "cocoop": context + meta_net, "palm": classes * width + classes}
    assert {method: num_parameters(METHODS[method].untrained(clap, LABELS)) for method in PROMPTED} == expected


@pytest.mark.parametrize("method", ["coop", "cocoop", "palm"])
def test_every_parameter_has_a_gradient_and_moves_the_output(clap, audio, method):
    prompt = METHODS[method].untrained(clap, LABELS)
    target = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    before = prompt.cosines(audio)
    (before * target).sum().backward()
    for name, parameter in prompt.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).any(), name
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4))
            assert not torch.allclose(prompt.cosines(audio), before, atol=1e-6), name
            parameter.copy_(kept)


@torch.no_grad()
def test_coop_with_the_embeddings_of_real_words_is_the_ordinary_text(clap):
    words = "This is a sound of a dog barking and rain on the roof with wind, sea, and a clock"
    ids = clap.tokenizer(words, add_special_tokens=False)["input_ids"][:NUM_CONTEXT_TOKENS]
    words = clap.tokenizer.decode(ids)
    assert len(clap.tokenizer(words, add_special_tokens=False)["input_ids"]) == NUM_CONTEXT_TOKENS
    prompt = METHODS["coop"].untrained(clap, LABELS)
    prompt.context.copy_(clap.embed_tokens(torch.tensor(ids)))
    expected = clap.encode_text([f"{words} {label}." for label in LABELS])
    assert torch.allclose(prompt.class_features(), expected, atol=1e-5)
    alone = METHODS["coop"].untrained(clap, LABELS[:2])  # less padding, another batch
    alone.context.copy_(prompt.context)
    assert torch.allclose(alone.class_features(), expected[:2], atol=1e-5)


@torch.no_grad()
def test_cocoop_with_a_zero_meta_net_is_coop(clap, audio):
    coop, cocoop = METHODS["coop"].untrained(clap, LABELS), METHODS["cocoop"].untrained(clap, LABELS)
    cocoop.context.copy_(coop.context)
    assert not torch.allclose(cocoop.cosines(audio), coop.cosines(audio), atol=1e-5)
    for parameter in cocoop.meta_net.parameters():
        parameter.zero_()
    assert torch.allclose(cocoop.cosines(audio), coop.cosines(audio), atol=1e-5)


@torch.no_grad()
def test_cocoop_batched_is_cocoop_one_by_one(clap, audio):
    prompt = METHODS["cocoop"].untrained(clap, LABELS)
    alone = torch.cat([prompt.cosines(row.unsqueeze(0)) for row in audio])
    assert torch.allclose(prompt.cosines(audio), alone, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("method", PROMPTED)
def test_permuting_the_classes_permutes_the_scores(clap, audio, method):
    order = [2, 0, 1]
    scores = METHODS[method].untrained(clap, LABELS, seed=7).cosines(audio)
    permuted = METHODS[method].untrained(clap, [LABELS[index] for index in order], seed=7).cosines(audio)
    assert torch.allclose(permuted, scores[:, order], atol=1e-6)


@torch.no_grad()
def test_palm_follows_its_equation(clap):
    prompt = METHODS["palm"].untrained(clap, LABELS)
    text = clap.encode_text(LABELS)
    mix = 1 / (1 + torch.exp(-prompt.l))[:, None]
    expected = (1 - mix) * text + mix * prompt.z
    assert torch.allclose(prompt.class_features(), expected / expected.norm(dim=1, keepdim=True), atol=1e-6)


def test_a_label_that_leaves_no_room_for_the_context_is_refused_by_name(clap):
    with pytest.raises(LabelsInvalid, match="dog dog"):
        METHODS["coop"].untrained(clap, ["dog " * 62, "cat"])


def test_a_thousand_classes(clap, audio):
    labels = [f"class {index}" for index in range(1000)]
    assert METHODS["palm"].untrained(clap, labels).cosines(audio).shape == (5, 1000)
