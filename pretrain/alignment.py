"""The last phase: text meets sound, by contrast of captions and clips; the audio encoder is held still.

A pass through the encoder costs a hundred times what the rest does. Every clip is heard once, whole as it is at use,
and its pooled features are kept; text and projection then see them as often as they need.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor
from transformers import ClapModel, PreTrainedTokenizerBase

from pretrain.augmentation import augment
from pretrain.captions import caption
from pretrain.dataset import Clips
from pretrain.encoder import fold_frames, pool_chunks
from pretrain.families import FAMILIES
from pretrain.train import ALIGNED, Trainer

TEMPLATE = "This is a sound of {}."
HIGHEST_LOGIT_SCALE = 60.0
POOL_BATCH = 8
FIT_BATCH = 256
SHOTS = 16  # a family, of the held-out check
FEATURE_NOISE = 0.15  # in standard deviations of each feature
# How much an embedding is asked to keep of what was heard, beside meeting its captions: few-shot prompts see no more.
KEEPING_WEIGHT = 1.0

# B clips, F families, E pooled width


@dataclass(frozen=True)
class Heard:
    """Clips as the encoder hears them: `pooled` `[N, E]`, `family` `[N]`, and the words that describe each."""

    pooled: Tensor
    family: Tensor
    words: list[list[str]]


def finish(trainer: Trainer, *, steps: int) -> None:
    """Align the averaged weights of a finished training, and write them beside its checkpoint."""
    model, work = trainer.averaged()[0], trainer.work
    is_bfloat16 = trainer.schedule.is_bfloat16
    heard = pool_clips(
        model, trainer.clips, work / f"pooled-{trainer.step}.pt", is_augmented=True, is_bfloat16=is_bfloat16
    )
    held_out = pool_clips(model, trainer.held_out, work / f"pooled-held-out-{trainer.step}.pt", is_augmented=False)
    align(model, trainer.tokenizer, heard, steps=steps, seed=trainer.schedule.seed)
    print(f"held-out clips, zero-shot: {accuracy(model, trainer.tokenizer, held_out):.3f}")
    with torch.inference_mode():
        projected = [F.normalize(model.audio_projection(each.pooled), dim=-1) for each in (heard, held_out)]
    for name, known, asked in (("pooled", heard.pooled, held_out.pooled), ("embedded", *projected)):
        share = prototype_accuracy(known, heard.family, asked, held_out.family)
        print(f"held-out clips, nearest of {SHOTS}-shot means, {name}: {share:.3f}")
    torch.save(model.state_dict(), work / ALIGNED)


def pool_clips(
    model: ClapModel, clips: Clips, kept: Path, *, is_augmented: bool, is_bfloat16: bool = False, seed: int = 0
) -> Heard:
    """Return the pooled features of all clips, from the file `kept` where it has them."""
    if kept.exists():
        return Heard(**torch.load(kept, weights_only=True))
    generator = torch.Generator().manual_seed(seed)
    pooled, families, words = [], [], []
    with torch.no_grad():
        for start in track(range(0, len(clips), POOL_BATCH), description=f"listening for {kept.stem}"):
            log_mel, family, told = clips.take(np.arange(start, min(start + POOL_BATCH, len(clips))))
            if is_augmented:
                log_mel = augment(log_mel, generator)
            whole = fold_frames(log_mel)
            pooled.append(pool_chunks(model.audio_model.audio_encoder, whole, is_bfloat16=is_bfloat16))
            families.append(family)
            words += told
    heard = Heard(torch.cat(pooled), torch.cat(families), words)
    torch.save(vars(heard), kept)
    return heard


def align(model: ClapModel, tokenizer: PreTrainedTokenizerBase, heard: Heard, *, steps: int, seed: int = 0) -> None:
    """Fit the projections and the text encoder of `model` to pooled features, in place.

    Args:
        steps: each of 256 clips and one caption a family, with the words of one of its clips.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    parts = (model.audio_projection, model.text_projection, model.text_model)
    model.requires_grad_(False)
    for part in parts:
        part.requires_grad_(True)
    scale = model.logit_scale_a.requires_grad_(True)
    mean, deviation = heard.pooled.mean(0), heard.pooled.std(0) + 1e-6
    keeper = torch.nn.Linear(model.config.projection_dim, len(mean))
    trained = [parameter for part in (*parts, keeper) for parameter in part.parameters()] + [scale]
    optimizer = torch.optim.AdamW(trained, lr=0.0, betas=(0.9, 0.98), weight_decay=0.02)
    members = [np.flatnonzero(heard.family.numpy() == k) for k in range(len(FAMILIES))]
    noise = FEATURE_NOISE * deviation
    for step in track(range(steps), description="aligning"):
        for group in optimizer.param_groups:
            group["lr"] = 1.5e-3 * min(1.0, (step + 1) / 15) * 0.5 * (1 + math.cos(math.pi * step / steps))
        rows = torch.randint(len(heard.family), (FIT_BATCH,), generator=generator)
        family = heard.family[rows]
        pooled = heard.pooled[rows] + noise * torch.randn(FIT_BATCH, len(noise), generator=generator)
        audio = F.normalize(model.audio_projection(pooled), dim=-1)
        texts = [caption(rng, each, _words(rng, heard, members[k])) for k, each in enumerate(FAMILIES)]
        text = encode_texts(model, tokenizer, texts)
        logits = scale.exp() * audio @ text.T  # [B, F]
        positive = F.one_hot(family, len(FAMILIES)).T.float()  # [F, B]
        present = positive.any(1)
        to_audio = F.log_softmax(logits.T[present], 1) * positive[present] / positive[present].sum(1, keepdim=True)
        kept = F.mse_loss(keeper(audio * len(mean) ** 0.5), (heard.pooled[rows] - mean) / deviation)
        told = F.cross_entropy(logits, family, label_smoothing=0.05) - 0.5 * to_audio.sum(1).mean()
        loss = told + KEEPING_WEIGHT * kept
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            scale.clamp_(max=math.log(HIGHEST_LOGIT_SCALE))
            model.logit_scale_t.copy_(scale)


def accuracy(model: ClapModel, tokenizer: PreTrainedTokenizerBase, heard: Heard) -> float:
    """Return the zero-shot accuracy over pooled clips, all families being candidates."""
    with torch.inference_mode():
        names = encode_texts(model, tokenizer, [TEMPLATE.format(family.names[0]) for family in FAMILIES])
        guess = (model.audio_projection(heard.pooled) @ names.T).argmax(1)
    return float((guess == heard.family).float().mean())


def prototype_accuracy(known: Tensor, known_family: Tensor, asked: Tensor, family: Tensor) -> float:
    """Return the share of `asked` `[n, E]` whose nearest family mean, of the first few `known` `[N, E]`, is its own."""
    mean, deviation = known.mean(0), known.std(0) + 1e-6
    known, asked = (known - mean) / deviation, (asked - mean) / deviation
    few = [known[(known_family == k).nonzero()[:SHOTS, 0]] for k in range(len(FAMILIES))]
    present = torch.tensor([k for k, each in enumerate(few) if len(each)])
    prototypes = torch.stack([few[k].mean(0) for k in present])
    return float((present[torch.cdist(asked, prototypes).argmin(1)] == family).float().mean())


def _words(rng: np.random.Generator, heard: Heard, members: np.ndarray) -> list[str]:
    return heard.words[rng.choice(members)] if len(members) else []


def encode_texts(model: ClapModel, tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> Tensor:
    """Return embeddings `[K, D]` of unit norm."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    pooled = model.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
    return F.normalize(model.text_projection(pooled), dim=-1)
