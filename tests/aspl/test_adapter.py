import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from aspl import Adapter, AudioPrompts, FrozenClap, TrainingConfig, classify
from aspl.adapter import MAX_MAGNITUDE
from aspl.errors import AdapterInvalid, AdapterMismatch
from aspl.heads.feature_scale import DEVIATION_FLOOR
from aspl.heads.linear import LinearHead
from aspl.heads.text import TextHead
from aspl.inference import hear_windows
from aspl.prompts.audio import Affine
from tests.aspl.few_sounds import fit
from tests.small_clap import write_small_clap

PARTS = ("gamma", "beta")
IN_ANOTHER_PROCESS = """
import sys, numpy as np, torch
torch.set_num_threads(1)
from aspl import Adapter, FrozenClap
clap = FrozenClap.load(sys.argv[1])
adapter = Adapter.from_bytes(open(sys.argv[2], "rb").read(), clap)
log_mel = torch.from_numpy(np.load(sys.argv[3]))
with torch.inference_mode():
    np.save(sys.argv[4], adapter.logits(clap.hear(log_mel, adapter.prompts)).numpy())
"""


@pytest.fixture(scope="module", params=["palm", "coop", "cocoop", "zero_shot"])
def adapter(request, clap, clips):
    config = TrainingConfig(method=request.param, audio_prompt="aspl_star", preset="paper", epochs=1)
    return fit(clap, *clips, config=config)


@pytest.fixture(scope="module")
def file(clap):
    return Adapter.zero_shot(clap, ["dog", "猫", "rain"]).to_bytes()


def test_saved_here_and_loaded_in_another_process_it_says_the_same(
    clap, small_clap_directory, adapter, log_mel, tmp_path
):
    (tmp_path / "adapter").write_bytes(adapter.to_bytes())
    np.save(tmp_path / "log_mel.npy", log_mel.numpy())
    paths = [
        str(path)
        for path in (small_clap_directory, tmp_path / "adapter", tmp_path / "log_mel.npy", tmp_path / "out.npy")
    ]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_ANOTHER_PROCESS, *paths],
        check=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    with torch.inference_mode():
        expected = adapter.logits(clap.hear(log_mel, adapter.prompts)).numpy()
    assert np.array_equal(np.load(tmp_path / "out.npy"), expected)


def test_the_file_keeps_every_fact(clap, adapter):
    assert Adapter.from_bytes(adapter.to_bytes(), clap).info == adapter.info
    assert Adapter.read_header(adapter.to_bytes())["fingerprint"] == clap.fingerprint


def test_a_static_adapter_loads_without_the_text_encoder(clap, file, monkeypatch):
    def refuse(*_args, **_settings):
        raise AssertionError("the text encoder ran")

    monkeypatch.setattr(FrozenClap, "encode_token_embeddings", refuse)
    assert Adapter.from_bytes(file, clap).labels == ("dog", "猫", "rain")


def test_another_base_model_is_refused(file, tmp_path):
    with pytest.raises(AdapterMismatch, match="was trained on small-clap"):
        Adapter.from_bytes(file, FrozenClap.load(write_small_clap(tmp_path, seed=1)))


def test_sizes_stay_in_bounds(clap):
    full_size = TextHead(torch.zeros(100, 512))
    prompts = AudioPrompts(*(Affine(torch.ones(width), torch.zeros(width)) for width in (64, 96, 192)))
    adapter = replace(Adapter.zero_shot(clap, [f"label {index}" for index in range(100)]), head=full_size)
    assert len(replace(adapter, prompts=prompts).to_bytes()) < 2**20
    ten = replace(adapter, head=TextHead(full_size.class_features[:10]), prompts=prompts)
    assert ten.size_bytes <= 64 * 1024


def edited(file: bytes, *, tensors=None, facts=None, drop=()) -> bytes:
    """Return the file with some of its tensors and facts replaced."""
    size = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + size])["__metadata__"]
    adapter = {**json.loads(header["adapter"]), **(facts or {})}
    kept = {**load(file), **(tensors or {})}
    for name in drop:
        adapter.pop(name, None)
        kept.pop(name, None)
    return save(kept, metadata={"format": header["format"], "adapter": json.dumps(adapter)})


def nested(depth: int) -> list:
    """Return a list in a list, `depth` times."""
    return [nested(depth - 1)] if depth else []


def spectral(gamma: float) -> dict[str, torch.Tensor]:
    """Return the tensors of a spectral stage."""
    return {"spectral.gamma": torch.full((64,), gamma), "spectral.beta": torch.zeros(64)}


@pytest.mark.parametrize(
    "change",
    [
        {"drop": ["labels"]},
        {"drop": ["class_features"], "tensors": {"other": torch.zeros(1)}},
        {"facts": {"labels": ["dog"]}},
        {"facts": {"labels": ["dog", "dog", "cat"]}},
        {"facts": {"labels": ["dog", "cat"]}},
        {"facts": {"labels": "dog"}},
        {"facts": {"method": "magic"}},
        {"facts": {"method": "cocoop"}},
        {"facts": {"audio_prompt": "loud"}},
        {"facts": {"audio_prompt": "spectral"}},
        {"facts": {"temperature": 0}},
        {"facts": {"temperature": float("nan")}},
        {"facts": {"logit_scale": "14"}},
        {"facts": {"threshold": 2}},
        {"facts": {"logit_scale": 10**400}},
        {"facts": {"temperature": 10**400}},
        {"facts": {"threshold": -(10**400)}},
        {"facts": {"report": {"accuracy": float("nan")}}},
        {"facts": {"report": {"optimism": nested(600)}}},
        {"facts": {"labels": ["dog", "rain", "\ud800"]}},
        {"facts": {"labels": ["dog", "rain", "\x00\n"]}},
        {"facts": {"shots": {"dog": -1}}},
        {"facts": {"format_version": 6}},
        {"facts": {"level_db": "loud"}},
        {"facts": {"level_db": 20.0}},
        {"facts": {"level_db": float("nan")}},
        {"facts": {"surprise": 1}},
        {"tensors": {"class_features": torch.full((3, 48), float("nan"))}},
        {"tensors": {"class_features": torch.ones(3, 48)}},
        {"tensors": {"class_features": torch.zeros(3, 48, dtype=torch.float64)}},
        {"tensors": {"class_features": torch.zeros(3, 47)}},
        {"tensors": {"token.gamma": torch.ones(16)}},
        {"tensors": spectral(3e38), "facts": {"audio_prompt": "spectral"}},
        {"tensors": spectral(float("nan")), "facts": {"audio_prompt": "spectral"}},
    ],
    ids=lambda change: str(change)[:60],
)
def test_files_that_cannot_be_right_are_refused(clap, file, change):
    with pytest.raises(AdapterInvalid):
        Adapter.from_bytes(edited(file, **change), clap)


def test_the_edit_itself_is_not_what_is_refused(clap, file):
    assert Adapter.from_bytes(edited(file), clap).labels == ("dog", "猫", "rain")
    prompted = edited(file, tensors=spectral(1.0), facts={"audio_prompt": "spectral"})
    assert Adapter.from_bytes(prompted, clap).audio_prompt == "spectral"


def test_the_largest_numbers_that_are_taken_still_give_scores(clap, clips, file):
    tensors = {**spectral(MAX_MAGNITUDE), **{f"token.{part}": torch.full((16,), MAX_MAGNITUDE) for part in PARTS}}
    adapter = Adapter.from_bytes(edited(file, tensors=tensors, facts={"audio_prompt": "aspl"}), clap)
    assert sum(classify(clap, clips[0][:1], [adapter])[0].scores.values()) == pytest.approx(1, abs=1e-5)


def test_temperature_divides_the_logits(clap, log_mel):
    adapter = Adapter.zero_shot(clap, ["dog", "rain"])
    features = clap.hear(log_mel)
    halved = replace(adapter, temperature=2.0).logits(features)
    assert torch.allclose(2 * halved, adapter.logits(features), atol=1e-5)


@pytest.mark.parametrize("data", [b"", b"12345678", b"\xff" * 64, b"PK\x03\x04" * 20, save({"x": torch.zeros(1)})])
def test_other_files_are_refused(clap, data):
    with pytest.raises(AdapterInvalid):
        Adapter.from_bytes(data, clap)


def test_a_file_cut_short_anywhere_is_refused(clap, file):
    for size in range(0, len(file), 37):
        with pytest.raises(AdapterInvalid):
            Adapter.from_bytes(file[:size], clap)


def test_zero_shot_scores_are_those_of_the_model_itself(clap, clips):
    labels = ["a dog", "rain", "a clock"]
    answers = classify(clap, clips[0][:2], [Adapter.zero_shot(clap, labels)] * 2)
    texts = clap.encode_text([f"This is a sound of {label}." for label in labels])
    waveforms = torch.from_numpy(np.stack([np.tile(clip, 10) for clip in clips[0][:2]]))
    expected = (clap.encode_audio(clap.log_mel(waveforms)) @ texts.T * clap.logit_scale).softmax(-1)
    assert np.allclose([list(answer.scores.values()) for answer in answers], expected, atol=1e-5)


@pytest.fixture(scope="module")
def guarded(clap, clips):
    return fit(clap, *clips, config=TrainingConfig(method="palm", audio_prompt="none", epochs=2))


def test_a_guarded_file_keeps_the_head_of_the_unknown_in_half_precision(clap, clips, guarded):
    data = guarded.to_bytes()
    assert load(data)["linear.matrix"].dtype == torch.float16
    loaded = Adapter.from_bytes(data, clap)
    told, again = (classify(clap, clips[0], [each] * len(clips[0])) for each in (guarded, loaded))
    assert [answer.known for answer in told] == [answer.known for answer in again]
    assert np.mean([answer.known for answer in told]) > 0.5
    assert loaded.size_bytes == guarded.size_bytes
    assert loaded.threshold is None


@pytest.mark.parametrize(
    "change",
    [
        {"drop": ["linear.bias"]},
        {"drop": ["linear.matrix", "linear.bias"]},
        {"drop": ["known"]},
        {"facts": {"format_version": 2}},  # which has no half precision
    ],
    ids=str,
)
def test_a_guarded_file_without_its_head_or_its_rule_is_refused(clap, guarded, change):
    with pytest.raises(AdapterInvalid):
        Adapter.from_bytes(edited(guarded.to_bytes(), **change), clap)


def test_a_linear_head_of_a_format_before_peaks_reads_none(clap, clips):
    ridge = fit(clap, *clips, config=TrainingConfig(method="ridge"))
    assert ridge.head.layout == clap.layout and ridge.format_version == 5
    with pytest.raises(AdapterInvalid, match=r"linear\.matrix"):
        Adapter.from_bytes(replace(ridge, format_version=3).to_bytes(), clap)
    before = clap.layout.without_peaks()
    matrix = torch.cat([ridge.head.matrix[:, : before.width], ridge.head.matrix[:, clap.layout.width :]], 1)
    earlier = replace(ridge, head=LinearHead(matrix, ridge.head.bias, before), format_version=3)
    loaded = Adapter.from_bytes(earlier.to_bytes(), clap)
    assert loaded.head.layout == before and loaded.format_version == 3
    features = hear_windows(clap, np.stack([np.resize(clip, 480_000) for clip in clips[0]]), [None] * 9, stages=True)
    stages = features.stages[:, : before.width]
    logged = torch.where(torch.from_numpy(before.is_deviation), (stages + DEVIATION_FLOOR).log(), stages)
    expected = torch.cat([logged, features.joint], 1) @ matrix.float().T + ridge.head.bias
    assert torch.allclose(loaded.scores(features)[0], expected[:, :-1], atol=1e-5)
    for width in (before.width - 1, clap.layout.width + 1):
        odd = replace(ridge, head=replace(ridge.head, matrix=torch.zeros(4, width + clap.joint_width)))
        with pytest.raises(AdapterInvalid, match=r"linear\.matrix"):
            Adapter.from_bytes(odd.to_bytes(), clap)


def test_a_file_of_an_earlier_format_stays_one_when_it_is_written_again(clap, clips):
    """Thresholds are set in files of earlier releases too, which those releases then go on to read."""
    earlier = replace(fit(clap, *clips, config=TrainingConfig(method="ridge")), format_version=4, level_db=None)
    again = Adapter.from_bytes(earlier.to_bytes(), clap)
    assert (again.format_version, again.level_db) == (4, None)
    for data in (earlier.to_bytes(), again.to_bytes()):
        size = int.from_bytes(data[:8], "little")
        assert "level_db" not in json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["adapter"])


def test_zero_shot_beside_a_bank_can_be_unknown(clap, clips, log_mel):
    bank = clap.encode_audio(log_mel).numpy()
    with_bank = Adapter.zero_shot(clap, ["dog", "rain"], bank=bank)
    loaded = Adapter.from_bytes(with_bank.to_bytes(), clap)
    answers = classify(clap, clips[0], [loaded] * len(clips[0]))
    assert all(0 <= answer.known <= 1 for answer in answers)
    assert [answer.is_unknown for answer in answers] == [
        answer.known < loaded.known.thresholds[0] for answer in answers
    ]
    (without,) = classify(clap, clips[0][:1], [Adapter.zero_shot(clap, ["dog", "rain"])])
    assert without.known is None and without.scores == pytest.approx(answers[0].scores)
