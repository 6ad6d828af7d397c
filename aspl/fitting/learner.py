"""One fit of a text prompt, and of an audio prompt where there is one, to some of the clips."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aspl.errors import OutOfMemory, TrainingDiverged
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.config import Recipe
from aspl.prompts.audio import AudioPrompts
from aspl.prompts.audio_parameters import AudioParameters

# B clips of a step, K classes, D joint width


@dataclass(frozen=True)
class Epoch:
    """What one pass over the clips came to, measured on the clips as they were trained on."""

    number: int
    loss: float
    accuracy: float


class Learner:
    """Trains `text`, and `audio` where it is given, on `clips`; every epoch depends on its number and the seed alone.

    Args:
        features: what encodes the clips; None where the text prompt trains on `embeddings` alone.
        embeddings: `[n, D]` of all clips, which the text prompt trains on where there is no audio prompt; None has
            them encoded again at every step, under `prompts`.
        classes: `[n]`, the class of each clip.
        tick: called before every micro-batch; what it raises ends the fit.
    """

    def __init__(
        self,
        text: nn.Module,
        audio: AudioParameters | None,
        recipe: Recipe,
        features: ClipFeatures | None,
        *,
        classes: Tensor,
        clips: np.ndarray,
        embeddings: Tensor | None,
        prompts: AudioPrompts,
        logit_scale: float,
        num_epochs: int,
        seed: int,
        tick: Callable[[], None],
    ) -> None:
        self.text, self.audio, self.recipe, self.features = text, audio, recipe, features
        self.classes, self.clips, self.embeddings, self.prompts = classes, clips, embeddings, prompts
        self.logit_scale, self.num_epochs, self.seed, self.tick = logit_scale, num_epochs, seed, tick
        self.next_epoch = 0
        self.encodes = audio is not None or embeddings is None
        self.micro_batch = features.micro_batch if self.encodes else recipe.batch_size
        self.groups = self._groups()
        if self.recipe.optimizer == "sgd":
            self.optimizer: torch.optim.Optimizer = torch.optim.SGD(self.groups, lr=recipe.text_rate, momentum=0.9)
        else:
            self.optimizer = torch.optim.AdamW(self.groups, lr=recipe.text_rate, weight_decay=0.0, fused=True)

    def _groups(self) -> list[dict]:
        """Give each prompt its own group: its learning rate, its pull to the identity, its gradient clip."""
        groups = []
        if text := list(self.text.parameters()):
            groups.append({"params": text, "peak": self.recipe.text_rate, "weight_decay": 0.0})
        if self.audio is not None:
            shots = len(self.clips) / len(np.unique(self.classes.cpu()[self.clips]))
            scarcity = max(1.0, 16 / shots) if self.recipe.chooses else 1.0
            for params in self.audio.groups():
                rate = self.recipe.audio_rate / math.sqrt(scarcity)
                decay = self.recipe.weight_decay * scarcity
                groups.append({"params": params, "peak": rate, "weight_decay": decay})
        return groups

    def epochs(self) -> Iterator[Epoch]:
        """Run the epochs that are left, and yield after each."""
        while self.next_epoch < self.num_epochs:
            yield self._epoch()

    def _epoch(self) -> Epoch:
        generator = np.random.default_rng([self.seed, self.next_epoch])
        order = generator.permutation(self.clips)
        steps = math.ceil(len(order) / self.recipe.batch_size)
        loss, hits = 0.0, 0
        for step in range(steps):
            self._anneal((self.next_epoch + step / steps) / self.num_epochs)
            batch = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            step_loss, step_hits = self._step(batch, self._draw_windows(batch, generator))
            loss, hits = loss + step_loss * len(batch), hits + step_hits
        if not math.isfinite(loss):
            raise TrainingDiverged("the loss is no longer a finite number: lower the learning rate")
        self.next_epoch += 1
        return Epoch(self.next_epoch, loss / len(order), hits / len(order))

    def _draw_windows(self, batch: np.ndarray, generator: np.random.Generator) -> list[int]:
        """Draw a window a clip: in time all of a long clip's are heard, and no clip weighs more than another."""
        if self.audio is None:
            return []  # the text prompt trains on embeddings, which are of whole clips
        return [int(generator.choice(self.features.windows_of(clip))) for clip in batch]

    def _anneal(self, progress: float) -> None:
        factor = 0.5 * (1 + math.cos(math.pi * progress)) if self.recipe.is_annealed else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor

    def _step(self, batch: np.ndarray, windows: list[int]) -> tuple[float, int]:
        """Make one step on `batch`; when memory runs out, halve the micro-batch and make the same step again."""
        while True:
            try:
                loss, hits = self._accumulate(batch, windows)
                break
            except torch.OutOfMemoryError as error:
                if self.micro_batch == 1:
                    raise OutOfMemory("the device cannot hold a single clip with its gradients") from error
                self.micro_batch //= 2
                if self.encodes:
                    self.features.micro_batch = self.micro_batch  # for what is encoded later, too
            torch.cuda.empty_cache()
        for group in self.groups:
            nn.utils.clip_grad_norm_(group["params"], self.recipe.clip_norm)
        self.optimizer.step()
        return loss, hits

    def _accumulate(self, batch: np.ndarray, windows: list[int]) -> tuple[float, int]:
        """Leave the gradient of the batch's mean loss, summed over micro-batches; return that loss and the hits."""
        self.optimizer.zero_grad()
        total, hits = 0.0, 0
        for start in range(0, len(batch), self.micro_batch):
            self.tick()
            part = slice(start, start + self.micro_batch)
            clips = torch.from_numpy(batch[part])
            cosines = self.text.cosines(self._hear(clips, windows[part]))
            truth = self.classes[clips]
            loss = F.cross_entropy(cosines * self.logit_scale, truth, reduction="sum") / len(batch)
            loss.backward()
            total += float(loss.detach())
            hits += int((cosines.detach().argmax(1) == truth).sum())
        return total, hits

    def _hear(self, clips: Tensor, windows: list[int]) -> Tensor:
        if self.audio is not None:
            return self.features.encode(windows, self.audio.prompts())
        if self.embeddings is not None:
            return self.embeddings[clips]
        return self.features.embed(clips.tolist(), self.prompts, tick=self.tick)

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next epoch depends on."""
        state = {"next_epoch": torch.tensor(self.next_epoch)}
        for part, module in self._modules().items():
            state |= {f"{part}.{name}": value.detach() for name, value in module.named_parameters()}
        for index, entries in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in entries.items()}
        return {name: value.cpu().clone() for name, value in state.items()}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.next_epoch = int(state["next_epoch"])
        for part, module in self._modules().items():
            for name, parameter in module.named_parameters():
                parameter.copy_(state[f"{part}.{name}"])
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("optimizer."):
                _, index, entry = name.split(".")
                entries.setdefault(int(index), {})[entry] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": entries})

    def _modules(self) -> dict[str, nn.Module]:
        return {"text": self.text} | ({} if self.audio is None else {"audio": self.audio})
