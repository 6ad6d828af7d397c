"""The text side: zero-shot, CoOp (arXiv 2109.01134), CoCoOp (arXiv 2203.05557) and PALM (arXiv 2409.19806).

A text prompt turns audio embeddings into cosines with its classes. A static one has the same class features for every
clip; once trained, those are all that is left of it. CoCoOp's depend on the clip.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from hashlib import sha256
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aspl.model.clap import FrozenClap
from aspl.templates import fill_template

# B clips, K classes, L text tokens, D joint width, d text width

NUM_CONTEXT_TOKENS = 16
INITIAL_STD = 0.02


class TextPrompt(nn.Module):
    """What is trained on the text side; `aspl.methods` names the kinds."""

    @classmethod
    def untrained(cls, clap: FrozenClap, labels: Sequence[str], *, template: str | None, seed: int) -> Self:
        """Return the prompt that a fit starts from; `template` is None where the method has none."""
        raise NotImplementedError

    def cosines(self, audio: Tensor) -> Tensor:
        """Return `[B, K]` of audio embeddings `[B, D]` of unit norm."""
        raise NotImplementedError

    def values(self) -> dict[str, Tensor]:
        """Return a copy of the parameters by name, on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.named_parameters()}

    @torch.no_grad()
    def set_values(self, values: Mapping[str, Tensor]) -> None:
        """Set the parameters to what `values` returned."""
        for name, parameter in self.named_parameters():
            parameter.copy_(values[name])


class StaticPrompt(TextPrompt):
    """A text prompt whose class features are the same for every clip."""

    def class_features(self) -> Tensor:
        """Return the unit class features `[K, D]` under the current parameters."""
        raise NotImplementedError

    def cosines(self, audio: Tensor) -> Tensor:
        """Return `[B, K]` of audio embeddings `[B, D]` of unit norm."""
        return audio @ self.class_features().T


class ZeroShot(StaticPrompt):
    """Nothing trained: the text embedding of each class name in a template."""

    def __init__(self, clap: FrozenClap, labels: Sequence[str], template: str) -> None:
        super().__init__()
        with torch.no_grad():
            self.register_buffer("features", clap.encode_text(fill_template(template, labels)))

    @classmethod
    def untrained(cls, clap: FrozenClap, labels: Sequence[str], *, template: str | None, seed: int) -> Self:
        """Return the prompt; there is nothing that a seed could decide."""
        return cls(clap, labels, template)

    def class_features(self) -> Tensor:
        """Return the unit text features `[K, D]`."""
        return self.features


class Palm(StaticPrompt):
    """PALM: each class's text feature is mixed with a trained vector in the joint space (equation 4 of the paper).

    t' = norm((1 - sigmoid(l)) t + sigmoid(l) z), with z `[K, D]` from N(0, 0.02) and l `[K]` from U(0, 1).
    """

    def __init__(self, clap: FrozenClap, labels: Sequence[str], template: str, seed: int) -> None:
        super().__init__()
        features = ZeroShot(clap, labels, template).features
        self.register_buffer("text_features", features)
        # Each class starts from its own name's numbers: the order of the classes must not matter.
        generators = [torch.Generator().manual_seed(_seed_of(label, seed)) for label in labels]
        z = torch.stack([torch.randn(features.shape[1], generator=generator) for generator in generators])
        self.z = nn.Parameter((z * INITIAL_STD).to(features.device))
        self.l = nn.Parameter(torch.cat([torch.rand(1, generator=g) for g in generators]).to(features.device))

    @classmethod
    def untrained(cls, clap: FrozenClap, labels: Sequence[str], *, template: str | None, seed: int) -> Self:
        """Return the prompt; z and l are drawn by `seed` and label."""
        return cls(clap, labels, template, seed)

    def class_features(self) -> Tensor:
        """Return the unit class features `[K, D]` under the current z and l."""
        mix = torch.sigmoid(self.l).unsqueeze(1)
        return F.normalize((1 - mix) * self.text_features + mix * self.z, dim=-1)


class ContextSlots:
    """The frozen rest of a CoOp prompt: `<s> [context] class name . </s>`, padded to the longest class."""

    def __init__(self, clap: FrozenClap, labels: Sequence[str], num_context: int = NUM_CONTEXT_TOKENS) -> None:
        tokenizer = clap.tokenizer
        names = [ids[1:-1] for ids in clap.tokenize([f" {label}." for label in labels], reserve=num_context)]
        length = max(map(len, names)) + 1
        token_ids = torch.full((len(names), 1 + length), tokenizer.pad_token_id)
        mask = torch.zeros(len(names), 1 + num_context + length, dtype=torch.long)
        for row, ids in enumerate(names):
            token_ids[row, : len(ids) + 2] = torch.tensor([tokenizer.bos_token_id, *ids, tokenizer.eos_token_id])
            mask[row, : 1 + num_context + len(ids) + 1] = 1
        self.token_ids = token_ids.to(clap.device)  # [K, 1 + L'], without the context
        self.mask = mask.to(clap.device)  # [K, L]

    def reordered(self, places: Sequence[int]) -> "ContextSlots":
        """Return the slots whose k-th class is this one's class `places[k]`."""
        slots = copy(self)
        slots.token_ids, slots.mask = self.token_ids[list(places)], self.mask[list(places)]
        return slots

    def fill(self, clap: FrozenClap, context: Tensor) -> Tensor:
        """Return word embeddings `[B, K, L, d]` of contexts `[B, 16, d]`."""
        frozen = clap.embed_tokens(self.token_ids).expand(len(context), -1, -1, -1)  # [B, K, 1 + L', d]
        context = context.unsqueeze(1).expand(-1, frozen.shape[1], -1, -1)
        return torch.cat([frozen[:, :, :1], context, frozen[:, :, 1:]], dim=2)


class CoOp(StaticPrompt):
    """CoOp: sixteen trained word embeddings in front of every class name, shared by all classes."""

    def __init__(self, clap: FrozenClap, labels: Sequence[str], generator: torch.Generator) -> None:
        super().__init__()
        self.clap = [clap]  # in a list, so that the frozen model is no submodule of what is trained
        self.slots = ContextSlots(clap, labels)
        self.context = nn.Parameter(initial_context(clap, generator))

    @classmethod
    def untrained(cls, clap: FrozenClap, labels: Sequence[str], *, template: str | None, seed: int) -> Self:
        """Return the prompt; its context is drawn by `seed`."""
        return cls(clap, labels, torch.Generator().manual_seed(seed))

    def class_features(self) -> Tensor:
        """Return the unit class features `[K, D]` under the current context: K text passes."""
        clap = self.clap[0]
        return clap.encode_token_embeddings(self.slots.fill(clap, self.context.unsqueeze(0))[0], self.slots.mask)


class CoCoOp(TextPrompt):
    """CoCoOp: CoOp's context, moved for each clip by a small net on the clip's embedding."""

    def __init__(self, clap: FrozenClap, labels: Sequence[str], generator: torch.Generator) -> None:
        super().__init__()
        self.clap = [clap]
        self.slots = ContextSlots(clap, labels)
        self.context = nn.Parameter(initial_context(clap, generator))
        hidden = meta_net_width(clap)
        self.meta_net = nn.Sequential(
            nn.Linear(clap.joint_width, hidden), nn.ReLU(), nn.Linear(hidden, clap.text_width)
        ).to(clap.device)
        for linear in (self.meta_net[0], self.meta_net[2]):
            for parameter in linear.parameters():  # torch's own start for a linear layer, from our generator
                start = torch.rand(parameter.shape, generator=generator) * 2 - 1
                parameter.data.copy_(start * linear.in_features**-0.5)

    @classmethod
    def untrained(cls, clap: FrozenClap, labels: Sequence[str], *, template: str | None, seed: int) -> Self:
        """Return the prompt; context and net are drawn by `seed`."""
        return cls(clap, labels, torch.Generator().manual_seed(seed))

    def cosines(self, audio: Tensor) -> Tensor:
        """Return `[B, K]` at the cost of B x K text passes."""
        shift = self.meta_net(audio).unsqueeze(1)  # [B, 1, d]
        embeddings = self.slots.fill(self.clap[0], self.context + shift)  # [B, K, L, d]
        num_clips, num_classes = embeddings.shape[:2]
        mask = self.slots.mask.repeat(num_clips, 1)
        features = self.clap[0].encode_token_embeddings(embeddings.flatten(0, 1), mask)
        return torch.einsum("bd,bkd->bk", audio, features.view(num_clips, num_classes, -1))

    @torch.no_grad()
    def cosines_between(self, audio: Tensor, start: int, stop: int) -> Tensor:
        """Return the cosines `start` to `stop` of the B x K that `cosines` returns, row after row: a text pass each."""
        clap, slots = self.clap[0], self.slots
        cells = torch.arange(start, stop, device=audio.device)
        classes = cells % len(slots.mask)
        rows = audio[cells // len(slots.mask)]
        frozen = clap.embed_tokens(slots.token_ids[classes])
        context = self.context + self.meta_net(rows).unsqueeze(1)
        embeddings = torch.cat([frozen[:, :1], context, frozen[:, 1:]], dim=1)
        return (rows * clap.encode_token_embeddings(embeddings, slots.mask[classes])).sum(-1)


def _seed_of(label: str, seed: int) -> int:
    return int.from_bytes(sha256(f"{seed} {label}".encode()).digest()[:7], "big")


def meta_net_width(clap: FrozenClap) -> int:
    """Return the hidden width of CoCoOp's meta-net, D / 16."""
    return max(1, clap.joint_width // 16)


def initial_context(clap: FrozenClap, generator: torch.Generator) -> Tensor:
    context = torch.randn(NUM_CONTEXT_TOKENS, clap.text_width, generator=generator) * INITIAL_STD
    return context.to(clap.device)
