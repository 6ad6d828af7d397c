"""The Swin stages of a frozen HTSAT (arXiv 2202.00874, 2103.14030), laid out for speed.

The weights are those of transformers' `ClapAudioModel`; three things differ from its forward pass, none in the result:

- Tokens are kept in the order of the windows that attend to them. All else in a block works token by token, so a block
  needs one gather where cyclic shift, partition and their reversals need four copies, and patch merging, which gathers
  anyway, hands the next stage its tokens in window order for free.
- Query, key and value are one product, with the first layer norm's affine and the attention scale folded into it.
- Position bias and shift mask are summed once at load, and added to the scores by the attention itself.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import GELUActivation

from aspl.model.frozen_linear import frozen_linear

# B clips, T tokens of a clip, C channels, H heads, W windows of a clip, S tokens of a window

BAND_COUNTS = (4, 2, 1)  # in so many bands peaks are told apart, as far as a stage has places in frequency for it


def window_order(height: int, width: int, window: int, shift: int) -> Tensor:
    """Return `[T]`: for each place in window order, the row-major index of the token that stands there."""
    grid = torch.arange(height * width).view(height, width).roll((-shift, -shift), (0, 1))
    return grid.view(height // window, window, width // window, window).transpose(1, 2).reshape(-1)


def inverse(order: Tensor) -> Tensor:
    """Return the permutation that undoes `order`."""
    return torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))


class PatchEmbedding(nn.Module):
    """Embed each 4 x 4 patch of the image `[B, 1, 256, 256]` -> `[B, T, C]` in `order`.

    The convolution's patches do not overlap, so it is one product; a GPU does not round that to TF32 unasked.
    """

    def __init__(self, patch_embed: nn.Module, order: Tensor) -> None:
        super().__init__()
        self.side: int = patch_embed.proj.kernel_size[0]
        self.register_buffer("weight", patch_embed.proj.weight.flatten(1))  # [C, 16]
        self.register_buffer("bias", patch_embed.proj.bias)
        self.register_buffer("order", order, persistent=False)
        self.norm = patch_embed.norm

    def forward(self, image: Tensor) -> Tensor:
        num_clips, _, height, width = image.shape
        patches = image.view(num_clips, height // self.side, self.side, width // self.side, self.side)
        patches = patches.transpose(2, 3).reshape(num_clips, -1, self.side**2)  # [B, T, 16], row-major
        return self.norm(frozen_linear(patches.index_select(1, self.order), self.weight, self.bias))


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Return `softmax(query @ key.T + bias) @ value`, `[..., S, C / H]`; `bias` is broadcast over the first axis.

    torch's own kernel works in float32 inside, so on a CPU in bfloat16 the two plain products are the faster way.
    """
    if query.is_cpu and query.dtype == torch.bfloat16:
        return (query @ key.mT).add_(bias).softmax(-1) @ value
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)


class WindowAttention(nn.Module):
    """Attention within windows on tokens in window order, its layer norm included."""

    def __init__(self, layer: nn.Module, resolution: tuple[int, int], window: int, shift: int) -> None:
        super().__init__()
        attention = layer.attention.self
        self.num_heads: int = attention.num_attention_heads
        self.window_tokens = window * window
        self.eps: float = layer.layernorm_before.eps
        scale = attention.attention_head_size**-0.5
        parts = [(attention.query, scale), (attention.key, 1.0), (attention.value, 1.0)]
        weight = torch.cat([part.weight * factor for part, factor in parts])  # [3C, C]
        bias = torch.cat([_bias(part) * factor for part, factor in parts])  # [3C]
        norm = layer.layernorm_before
        self.register_buffer("qkv_weight", weight * norm.weight)
        self.register_buffer("qkv_bias", bias + weight @ norm.bias)
        self.register_buffer("out_weight", layer.attention.output.dense.weight)
        self.register_buffer("out_bias", layer.attention.output.dense.bias)
        index = attention.relative_position_index.view(-1)
        table = attention.relative_position_bias_table[index]  # [S * S, H]
        position_bias = table.view(self.window_tokens, self.window_tokens, -1).permute(2, 0, 1)  # [H, S, S]
        mask = _shift_mask(resolution, window, shift)  # [W or 1, 1, S, S]
        self.register_buffer("bias", (position_bias + mask).contiguous())  # [W or 1, H, S, S]

    def forward(self, x: Tensor) -> Tensor:
        num_clips, num_tokens, channels = x.shape
        num_windows = num_tokens // self.window_tokens
        x = F.layer_norm(x, (channels,), eps=self.eps)
        qkv = frozen_linear(x, self.qkv_weight, self.qkv_bias)
        qkv = qkv.view(num_clips * num_windows, self.window_tokens, 3, self.num_heads, channels // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each [B * W, H, S, C / H]
        if len(self.bias) == 1:
            bias = self.bias.expand(num_clips * num_windows, -1, -1, -1)
        else:
            bias = self.bias.repeat(num_clips, 1, 1, 1) if num_clips > 1 else self.bias
        x = attend(query, key, value, bias)
        x = x.transpose(1, 2).reshape(num_clips, num_tokens, channels)
        return frozen_linear(x, self.out_weight, self.out_bias)


class Mlp(nn.Module):
    """The feed-forward half of a block, its layer norm included."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        norm, up, down = layer.layernorm_after, layer.intermediate.dense, layer.output.dense
        self.eps: float = norm.eps
        self.activation = layer.intermediate.intermediate_act_fn
        self.register_buffer("up_weight", up.weight * norm.weight)
        self.register_buffer("up_bias", up.bias + up.weight @ norm.bias)
        self.register_buffer("down_weight", down.weight)
        self.register_buffer("down_bias", down.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x, x.shape[-1:], eps=self.eps)
        if isinstance(self.activation, GELUActivation):
            x = frozen_linear(x, self.up_weight, self.up_bias, gelu=True)
        else:
            x = self.activation(frozen_linear(x, self.up_weight, self.up_bias))
        return frozen_linear(x, self.down_weight, self.down_bias)


class SwinStage(nn.Module):
    """A stage of transformers' `ClapAudioStage`: its blocks on `[B, T, C]` in `first_order`, then patch merging.

    Merging returns `[B, T / 4, 2C]` in the next stage's first order; the last stage has none and returns `[B, T, C]`.

    Attributes:
        num_bands: of frequency, in which `peaks` are told apart; 0 where there are none.

    Args:
        folds: into so many stretches of time, one below the other, the spectrogram is folded; None for no peaks.
    """

    def __init__(self, stage: nn.Module, resolution: tuple[int, int], window: int, folds: int | None) -> None:
        super().__init__()
        height, width = resolution
        is_one_window = min(resolution) <= window
        window = min(window, *resolution)
        self.blocks = nn.ModuleList()
        order = window_order(height, width, window, 0)
        self.first_order = order
        for index, layer in enumerate(stage.blocks):
            shift = 0 if is_one_window or index % 2 == 0 else window // 2
            block_order = window_order(height, width, window, shift)
            self.register_buffer(f"gather_{index}", _gather(order, block_order), persistent=False)
            self.blocks.append(nn.ModuleList([WindowAttention(layer, resolution, window, shift), Mlp(layer)]))
            order = block_order
        self.merging: nn.Module | None = None
        self.num_bands = 0
        if folds is not None:
            self.num_bands = num_bands(height, folds)
            self._run, by_band = runs_by_band(order, resolution, folds, self.num_bands)
            self.register_buffer("by_band", by_band, persistent=False)
        if stage.downsample is not None:
            self.merging = PatchMerging(stage.downsample, resolution, order, window)

    def forward(self, x: Tensor) -> Tensor:
        return self.merge(self.run_blocks(x))

    def run_blocks(self, x: Tensor) -> Tensor:
        """Run the blocks alone, `[B, T, C]` -> `[B, T, C]` in the last block's order."""
        for index, (attention, mlp) in enumerate(self.blocks):
            gather = getattr(self, f"gather_{index}")
            if gather is not None:
                x = x.index_select(1, gather)
            x = x + attention(x)
            x = x + mlp(x)
        return x

    def peaks(self, x: Tensor) -> Tensor:
        """Return the highest value of each channel in each band of frequency, float32 `[B, bands * C]`, of tokens
        `[B, T, C]` that leave the blocks."""
        num_clips, num_tokens, channels = x.shape
        runs = x.view(num_clips, num_tokens // self._run, self._run, channels).amax(2)
        bands = runs.index_select(1, self.by_band).view(num_clips, self.num_bands, -1, channels)
        return bands.amax(2).flatten(1).float()

    def merge(self, x: Tensor) -> Tensor:
        """Run the patch merging, where the stage has one."""
        return x if self.merging is None else self.merging(x)


class PatchMerging(nn.Module):
    """Join each 2 x 2 tokens, `[B, T, C]` -> `[B, T / 4, 2C]`, and leave them in the next stage's window order."""

    def __init__(self, merging: nn.Module, resolution: tuple[int, int], order: Tensor, window: int) -> None:
        super().__init__()
        height, width = resolution
        grid = torch.arange(height * width).view(height, width)
        quads = torch.stack([grid[row::2, column::2] for column in range(2) for row in range(2)], dim=-1)
        next_window = min(window, height // 2, width // 2)
        next_order = window_order(height // 2, width // 2, next_window, 0)
        self.register_buffer("gather", inverse(order)[quads.view(-1, 4)[next_order].reshape(-1)], persistent=False)
        self.eps: float = merging.norm.eps
        self.register_buffer("weight", merging.reduction.weight * merging.norm.weight)
        self.register_buffer("bias", merging.reduction.weight @ merging.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        num_clips, num_tokens, channels = x.shape
        x = x.index_select(1, self.gather).view(num_clips, num_tokens // 4, 4 * channels)
        x = F.layer_norm(x, (4 * channels,), eps=self.eps)
        return frozen_linear(x, self.weight, self.bias)


def _bias(linear: nn.Linear) -> Tensor:
    return linear.bias if linear.bias is not None else linear.weight.new_zeros(len(linear.weight))


def _gather(order: Tensor, block_order: Tensor) -> Tensor | None:
    gather = inverse(order)[block_order]
    return None if torch.equal(gather, torch.arange(len(gather))) else gather


def num_bands(height: int, folds: int) -> int:
    """Return in how many bands the places in frequency of `height` rows of tokens are told apart."""
    return next((count for count in BAND_COUNTS if height % (folds * count) == 0), 1)


def runs_by_band(order: Tensor, resolution: tuple[int, int], folds: int, bands: int) -> tuple[int, Tensor]:
    """Return the length of the runs of one band that tokens in `order` make, and all runs, those of a band together.

    A window holds whole rows of a band side by side, so a highest value needs no gather of tokens.
    """
    height, width = resolution
    rows = height // folds if height % folds == 0 else height
    band = (order // width) % rows * bands // rows  # [T]
    ends = torch.nonzero(band[1:] != band[:-1]).flatten() + 1
    run = math.gcd(len(order), *ends.tolist())
    return run, torch.argsort(band[::run], stable=True)


def _shift_mask(resolution: tuple[int, int], window: int, shift: int) -> Tensor:
    """Return `[W, 1, S, S]`: -100 where a shifted window would join tokens from opposite edges, else 0."""
    if shift == 0:
        return torch.zeros(1, 1, 1, 1)

    def region(size: int) -> Tensor:
        place = torch.arange(size)
        return (place >= size - window).long() + (place >= size - shift).long()

    height, width = resolution
    regions = (region(height)[:, None] * 3 + region(width)).reshape(-1)  # of the places after the shift, row-major
    regions = regions[window_order(height, width, window, 0)].view(-1, window * window)  # [W, S]
    apart = regions[:, None, :] != regions[:, :, None]
    return apart.float().mul(-100.0).unsqueeze(1)
