"""One fit of a text prompt, and of an audio prompt where there is one, to some of the clips."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aspl.errors import OutOfMemory, TrainingDiverged
from aspl.features import AudioFeatures
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.recipe import Recipe
from aspl.fitting.records import LearnerState
from aspl.prompts.audio import AudioPrompts
from aspl.prompts.audio_parameters import AudioParameters
from aspl.prompts.text import TextPrompt

# B clips of a step, K classes, D joint width


@dataclass(frozen=True)
class Epoch:
    """What one pass over the clips came to, measured on the clips as they were trained on."""

    number: int
    loss: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class LearnerInputs:
    """The clips of one trial, and how they are heard.

    Attributes:
        clips: what encodes them; None where the text prompt trains on `cached` alone.
        classes: `[n]`, the class of each clip.
        members: `[m]`, the clips that are trained on.
        logit_scale: of cosines.
        cached: features of all n clips, which the text prompt trains on where there is no audio prompt; None has them
            encoded again at every step, under `prompts`.
    """

    clips: ClipFeatures | None
    classes: Tensor
    members: np.ndarray
    logit_scale: float
    cached: AudioFeatures | None = None
    prompts: AudioPrompts = field(default_factory=AudioPrompts)


class Learner:
    """Trains `text`, and `audio` where it is given; every epoch depends on its number and the seed alone.

    Args:
        tick: called before every micro-batch; what it raises ends the fit.
    """

    def __init__(
        self,
        text: TextPrompt,
        audio: AudioParameters | None,
        recipe: Recipe,
        inputs: LearnerInputs,
        *,
        num_epochs: int,
        seed: int,
        tick: Callable[[], None],
    ) -> None:
        self.text, self.audio, self.recipe, self.inputs = text, audio, recipe, inputs
        self.num_epochs, self.seed, self.tick = num_epochs, seed, tick
        self.next_epoch = 0
        self.encodes = audio is not None or inputs.cached is None
        self.micro_batch = inputs.clips.micro_batch if self.encodes else recipe.batch_size
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
            members = self.inputs.members
            shots = len(members) / len(np.unique(self.inputs.classes.cpu()[members]))
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
        order = generator.permutation(self.inputs.members)
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
        return [int(generator.choice(self.inputs.clips.windows_of(clip))) for clip in batch]

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
                    self.inputs.clips.micro_batch = self.micro_batch  # for what is encoded later, too
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
            members = torch.from_numpy(batch[part])
            cosines = self.text.cosines(self._hear(members, windows[part]))
            truth = self.inputs.classes[members]
            loss = F.cross_entropy(cosines * self.inputs.logit_scale, truth, reduction="sum") / len(batch)
            loss.backward()
            total += float(loss.detach())
            hits += int((cosines.detach().argmax(1) == truth).sum())
        return total, hits

    def _hear(self, members: Tensor, windows: list[int]) -> Tensor:
        inputs = self.inputs
        if self.audio is not None:
            return inputs.clips.encode(windows, self.audio.prompts())
        if inputs.cached is not None:
            return inputs.cached.joint[members]
        return inputs.clips.hear(members.tolist(), inputs.prompts, tick=self.tick).joint

    def state(self) -> LearnerState:
        """Return everything that the next epoch depends on."""
        optimizer = {
            index: {name: torch.as_tensor(value).cpu().clone() for name, value in entries.items()}
            for index, entries in self.optimizer.state_dict()["state"].items()
        }
        return LearnerState(self.next_epoch, self.text.values(), values_of(self.audio), optimizer)

    @torch.no_grad()
    def restore(self, state: LearnerState) -> None:
        """Go on from what `state` returned."""
        self.next_epoch = state.next_epoch
        self.text.set_values(state.text)
        if self.audio is not None:
            for name, parameter in self.audio.named_parameters():
                parameter.copy_(state.audio[name])
        entries = {index: dict(values) for index, values in state.optimizer.items()}
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": entries})


def values_of(audio: AudioParameters | None) -> dict[str, Tensor]:
    """Return a copy of an audio prompt's parameters by name, on the CPU; empty where there is none."""
    parameters = () if audio is None else audio.named_parameters()
    return {name: value.detach().cpu().clone() for name, value in parameters}
