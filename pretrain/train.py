"""The first phase: the audio encoder learns family, attributes and plain statistics of each clip; no text yet."""

import copy
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from transformers import ClapModel

from pretrain.augmentation import augment, cut
from pretrain.dataset import ATTRIBUTES, NUM_FAMILIES, Clips, attributes
from pretrain.encoder import CHUNK_FRAMES, fold_frames, pool_chunks
from pretrain.model import set_batch_norm, small_clap
from pretrain.statistics import statistics
from pretrain.vocabulary import train_tokenizer

MEL_BINS = 64
ALIGNED = "aligned.pt"

# B clips, T frames, M mel bins, E pooled width


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: optimiser steps in all.
        max_minutes: if set, the learning rate falls with whichever of steps and minutes is further on.
        two_chunks_from, four_chunks_from: share of the training after which clips are cut to two and four chunks.
        is_bfloat16: whether the encoder's products are in bfloat16; half the time where the CPU has AVX-512 BF16.
    """

    steps: int = 9000
    max_minutes: float | None = None
    batch_clips: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_steps: int = 200
    ema_decay: float = 0.998
    two_chunks_from: float = 0.85
    four_chunks_from: float = 1.01
    save_every_s: float = 420.0
    seed: int = 0
    threads: int = 2
    is_bfloat16: bool = False


class Heads(nn.Module):
    """Family, attributes and plain statistics straight from the pooled features, so that few-shot probes find them."""

    def __init__(self, pooled_width: int) -> None:
        super().__init__()
        self.family = nn.Linear(pooled_width, NUM_FAMILIES)
        self.attributes = nn.Linear(pooled_width, len(ATTRIBUTES))
        self.statistics = nn.Linear(pooled_width, 3 * MEL_BINS + 48)
        self.register_buffer("statistics_mean", torch.zeros(3 * MEL_BINS + 48))
        self.register_buffer("statistics_std", torch.ones(3 * MEL_BINS + 48))

    def set_statistics(self, log_mel: Tensor) -> None:
        """Take the scale of the statistics from log-mels `[B, T, M]`."""
        found = statistics(log_mel)
        self.statistics_mean.copy_(found.mean(0))
        self.statistics_std.copy_(found.std(0))

    def statistics_loss(self, pooled: Tensor, log_mel: Tensor) -> Tensor:
        """Return the mean squared error of the statistics told from pooled features, 1 for telling their mean."""
        return F.mse_loss(self.statistics(pooled), (statistics(log_mel) - self.statistics_mean) / self.statistics_std)


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
        self.optimizer = torch.optim.AdamW(
            _groups(self.trained, schedule.weight_decay), lr=0.0, betas=(0.9, 0.98), fused=True
        )
        self.step, self.minutes = 0, 0.0
        self.rng = np.random.default_rng(schedule.seed)
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.history: list[dict[str, float]] = []
        if self._path.exists():
            self._resume()
        else:
            rows = self.rng.choice(len(self.clips), min(256, len(self.clips)), replace=False)
            log_mel = augment(cut(self.clips.take(rows)[0], CHUNK_FRAMES, self.generator), self.generator)
            set_batch_norm(self.model, log_mel)
            self.heads.set_statistics(log_mel)
            self.ema = {name: value.clone() for name, value in self.trained.state_dict().items()}

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
        rate = schedule.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.share)))
        loss = self._loss()
        self.trained.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / schedule.warmup_steps)
        self.optimizer.step()
        decay = min(schedule.ema_decay, (1 + self.step) / (10 + self.step))
        now = {name: value for name, value in self.trained.state_dict().items() if value.is_floating_point()}
        torch._foreach_lerp_([self.ema[name] for name in now], list(now.values()), 1 - decay)
        return loss.item()

    def _chunks(self) -> int:
        if self.share >= self.schedule.four_chunks_from:
            return 4
        return 2 if self.share >= self.schedule.two_chunks_from else 1

    def _loss(self) -> Tensor:
        rows = self.rng.integers(len(self.clips), size=self.schedule.batch_clips)
        log_mel, family, words = self.clips.take(rows)
        features = augment(cut(log_mel, self._chunks() * CHUNK_FRAMES, self.generator), self.generator)
        encoder = self.model.audio_model.audio_encoder
        pooled = pool_chunks(encoder, features, is_bfloat16=self.schedule.is_bfloat16)
        return (
            F.cross_entropy(self.heads.family(pooled), family, label_smoothing=0.05)
            + F.binary_cross_entropy_with_logits(self.heads.attributes(pooled), attributes(words))
            + self.heads.statistics_loss(pooled, features)
        )

    def held_out_accuracy(self, limit: int = 256) -> float:
        """Return the accuracy of the averaged weights and family head over whole held-out clips."""
        model, heads = self.averaged()
        rows = np.linspace(0, len(self.held_out) - 1, min(limit, len(self.held_out))).astype(int)
        correct = 0
        with torch.no_grad():
            for part in np.array_split(rows, -(-len(rows) // 16)):
                log_mel, family, _ = self.held_out.take(part)
                pooled = pool_chunks(model.audio_model.audio_encoder, fold_frames(log_mel))
                correct += int(heads.family(pooled).argmax(1).eq(family).sum())
        return correct / len(rows)

    def averaged(self) -> tuple[ClapModel, Heads]:
        """Return a model and heads of the averaged weights, for use."""
        averaged = copy.deepcopy(self.trained)
        averaged.load_state_dict(self.ema)
        return averaged[0].eval(), averaged[1].eval()

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


def _groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Decay matrices alone."""
    matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
