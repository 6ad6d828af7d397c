"""Training: symmetric InfoNCE with several positives, and two auxiliary heads on the pooled features."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from transformers import ClapModel, PreTrainedTokenizerBase

from pretrain.augmentation import augment, cut
from pretrain.captions import caption
from pretrain.dataset import ATTRIBUTES, NUM_FAMILIES, Clips, attributes
from pretrain.encoder import CHUNK_FRAMES, fold_frames, pool_chunks
from pretrain.families import FAMILIES
from pretrain.model import set_batch_norm, small_clap
from pretrain.vocabulary import train_tokenizer

TEMPLATE = "This is a sound of {}."
HIGHEST_LOGIT_SCALE = 60.0

# B clips, K texts, D joint width, E pooled width


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: optimiser steps in all.
        max_minutes: if set, the learning rate falls with whichever of steps and minutes is further on.
        absent_families: texts of families that are not in the batch, as further negatives.
        two_chunks_from, four_chunks_from: share of the training after which clips are cut to two and four chunks.
    """

    steps: int = 4000
    max_minutes: float | None = None
    batch_clips: int = 32
    absent_families: int = 24
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 80
    ema_decay: float = 0.998
    two_chunks_from: float = 0.82
    four_chunks_from: float = 1.01
    save_every_s: float = 360.0
    seed: int = 0
    threads: int = 2


class Heads(nn.Module):
    """Family and attributes straight from the pooled features, so that few-shot probes find them there."""

    def __init__(self, pooled_width: int) -> None:
        super().__init__()
        self.family = nn.Linear(pooled_width, NUM_FAMILIES)
        self.attributes = nn.Linear(pooled_width, len(ATTRIBUTES))


class Trainer:
    """A training that can be stopped anywhere and taken up again from its last save in `work`."""

    def __init__(self, data: Path, work: Path, schedule: Schedule) -> None:
        torch.set_num_threads(schedule.threads)
        self.schedule, self.work = schedule, work
        work.mkdir(parents=True, exist_ok=True)
        self.clips, self.held_out = Clips(data), Clips(data, held_out=True)
        self.tokenizer = train_tokenizer(work / "tokenizer", seed=schedule.seed)
        torch.manual_seed(schedule.seed)
        self.model = small_clap(len(self.tokenizer))
        self.heads = Heads(self.model.config.audio_config.hidden_size)
        self.trained = nn.ModuleList([self.model, self.heads])
        self.optimizer = torch.optim.AdamW(_groups(self.trained, schedule.weight_decay), lr=0.0, betas=(0.9, 0.98))
        self.step, self.minutes = 0, 0.0
        self.rng = np.random.default_rng(schedule.seed)
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.history: list[dict[str, float]] = []
        if self._path.exists():
            self._resume()
        else:
            rows = self.rng.choice(len(self.clips), min(256, len(self.clips)), replace=False)
            set_batch_norm(self.model, augment(self.clips.take(rows)[0], self.generator))
            self.ema = {name: value.clone() for name, value in self.model.state_dict().items()}

    def train(self) -> None:
        """Train to the end of the schedule, saving now and then."""
        schedule, last_save = self.schedule, time.monotonic()
        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        with Progress(*columns, refresh_per_second=0.2) as progress:
            bar = progress.add_task("training", total=1.0, completed=self.share)
            while self.share < 1:
                started = time.monotonic()
                loss = self.train_step()
                self.step += 1
                self.minutes += (time.monotonic() - started) / 60
                rate = schedule.batch_clips / (time.monotonic() - started)
                told = f"step {self.step} loss {loss:.3f} {rate:.0f} clips/s of {len(self.clips)}"
                progress.update(bar, completed=self.share, description=told)
                if not progress.console.is_terminal and self.step % 20 == 0:
                    print(f"{told}, {self.minutes:.1f} min", flush=True)
                if time.monotonic() - last_save > schedule.save_every_s:
                    self.save()
                    last_save = time.monotonic()
        self.save()

    @property
    def share(self) -> float:
        """How much of the schedule is done, 0..1."""
        limit = self.schedule.max_minutes
        return min(1.0, max(self.step / self.schedule.steps, self.minutes / limit if limit else 0.0))

    def train_step(self) -> float:
        """Take one optimiser step and return its loss."""
        schedule = self.schedule
        if self.step % 100 == 0:
            self.clips.refresh()
        rate = schedule.learning_rate * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * self.share)))
        loss = self._loss()
        self.trained.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / schedule.warmup_steps)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale_a.clamp_(max=float(np.log(HIGHEST_LOGIT_SCALE)))
            decay = min(schedule.ema_decay, (1 + self.step) / (10 + self.step))
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.ema[name].lerp_(value, 1 - decay)
        return loss.item()

    def _chunks(self) -> int:
        if self.share >= self.schedule.four_chunks_from:
            return 4
        return 2 if self.share >= self.schedule.two_chunks_from or self.rng.uniform() < 0.1 else 1

    def _loss(self) -> Tensor:
        rows = self.rng.integers(len(self.clips), size=self.schedule.batch_clips)
        log_mel, family, words = self.clips.take(rows)
        features = augment(cut(log_mel, self._chunks() * CHUNK_FRAMES, self.generator), self.generator)
        pooled = pool_chunks(self.model.audio_model.audio_encoder, features)
        audio = F.normalize(self.model.audio_projection(pooled), dim=-1)  # [B, D]
        texts = [caption(self.rng, FAMILIES[k], heard) for k, heard in zip(family.tolist(), words, strict=True)]
        heard_families = set(family.tolist())
        absent = self.rng.permutation([k for k in range(NUM_FAMILIES) if k not in heard_families])
        absent = absent[: self.schedule.absent_families]
        texts += [caption(self.rng, FAMILIES[k], ()) for k in absent]
        text = encode_texts(self.model, self.tokenizer, texts)  # [B + absent, D]
        logits = self.model.logit_scale_a.exp() * audio @ text.T
        described = attributes(words)
        positive = (family[:, None] == family) * (0.5 + (described @ described.T) + 1.5 * torch.eye(len(family)))
        return (
            _soft_cross_entropy(logits, F.pad(positive, (0, len(absent))))
            + 0.5 * _soft_cross_entropy(logits[:, : len(family)].T, positive.T)
            + F.cross_entropy(self.heads.family(pooled), family, label_smoothing=0.05)
            + F.binary_cross_entropy_with_logits(self.heads.attributes(pooled), described)
        )

    def held_out_accuracy(self, limit: int = 256) -> float:
        """Return the zero-shot accuracy of the averaged weights over held-out clips, all families being candidates."""
        model = self.averaged()
        rows = np.linspace(0, len(self.held_out) - 1, min(limit, len(self.held_out))).astype(int)
        correct = 0
        with torch.no_grad():
            names = encode_texts(model, self.tokenizer, [TEMPLATE.format(family.names[0]) for family in FAMILIES])
            for part in np.array_split(rows, -(-len(rows) // 16)):
                log_mel, family, _ = self.held_out.take(part)
                pooled = pool_chunks(model.audio_model.audio_encoder, fold_frames(log_mel))
                correct += int((model.audio_projection(pooled) @ names.T).argmax(1).eq(family).sum())
        return correct / len(rows)

    def averaged(self) -> ClapModel:
        """Return a model of the averaged weights, for use."""
        model = small_clap(len(self.tokenizer))
        model.load_state_dict(self.ema)
        return model.eval()

    @property
    def _path(self) -> Path:
        return self.work / "checkpoint.pt"

    def save(self) -> None:
        """Write a checkpoint that replaces the last one whole, and note the held-out accuracy."""
        self.history.append({"step": self.step, "minutes": self.minutes, "held_out_accuracy": self.held_out_accuracy()})
        (self.work / "history.json").write_text(
            json.dumps({"schedule": asdict(self.schedule), "history": self.history}, indent=1)
        )
        print(self.history[-1], flush=True)
        state = {
            "trained": self.trained.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema,
            "generator": self.generator.get_state(),
            "rng": self.rng.bit_generator.state,
            "step": self.step,
            "minutes": self.minutes,
            "history": self.history,
        }
        temporary = self._path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.rename(self._path)

    def _resume(self) -> None:
        state = torch.load(self._path, weights_only=True)
        self.trained.load_state_dict(state["trained"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.rng.bit_generator.state = state["rng"]
        self.ema, self.step, self.minutes, self.history = (
            state["ema"],
            state["step"],
            state["minutes"],
            state["history"],
        )


def encode_texts(model: ClapModel, tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> Tensor:
    """Return embeddings `[K, D]` of unit norm."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    pooled = model.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
    return F.normalize(model.text_projection(pooled), dim=-1)


def _soft_cross_entropy(logits: Tensor, positive: Tensor) -> Tensor:
    """Cross-entropy against targets in proportion to `positive`, row by row."""
    return -(F.log_softmax(logits, 1) * (positive / positive.sum(1, keepdim=True))).sum(1).mean()


def _groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Decay matrices alone."""
    matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
