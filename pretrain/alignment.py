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
FEATURE_NOISE = 0.15  # in standard deviations of each feature

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
    heard = pool_clips(model, trainer.clips, work / f"pooled-{trainer.step}.pt", is_augmented=True)
    held_out = pool_clips(model, trainer.held_out, work / f"pooled-held-out-{trainer.step}.pt", is_augmented=False)
    before = accuracy(model, trainer.tokenizer, held_out)
    align(model, trainer.tokenizer, heard, steps=steps, seed=trainer.schedule.seed)
    print(f"held-out accuracy {before:.3f}, aligned {accuracy(model, trainer.tokenizer, held_out):.3f}")
    torch.save(model.state_dict(), work / ALIGNED)


def pool_clips(model: ClapModel, clips: Clips, kept: Path, *, is_augmented: bool, seed: int = 0) -> Heard:
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
            pooled.append(pool_chunks(model.audio_model.audio_encoder, fold_frames(log_mel)))
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
    trained = [parameter for part in parts for parameter in part.parameters()] + [scale]
    optimizer = torch.optim.AdamW(trained, lr=0.0, betas=(0.9, 0.98), weight_decay=0.02)
    members = [np.flatnonzero(heard.family.numpy() == k) for k in range(len(FAMILIES))]
    noise = FEATURE_NOISE * heard.pooled.std(0)
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
        loss = F.cross_entropy(logits, family, label_smoothing=0.05) - 0.5 * to_audio.sum(1).mean()
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


def _words(rng: np.random.Generator, heard: Heard, members: np.ndarray) -> list[str]:
    return heard.words[rng.choice(members)] if len(members) else []


def encode_texts(model: ClapModel, tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> Tensor:
    """Return embeddings `[K, D]` of unit norm."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    pooled = model.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
    return F.normalize(model.text_projection(pooled), dim=-1)
