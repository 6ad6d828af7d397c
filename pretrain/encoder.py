"""HTSAT's forward pass on part of its image: a clip folds into four chunks of 256 frames, and one or two often suffice.

On all four the result is that of transformers' `ClapAudioModel`. On fewer, the chunks stand for the whole as if they
were repeated: windows wrap from the last chunk to the first, and are as high as the image where it is lower than one.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aspl.model.swin import inverse

CHUNK_FRAMES = 256
NUM_CHUNKS = 4
WINDOW = 8

# B clips, T frames, M mel bins, C channels, H, W image sides in tokens, S tokens of a window


def pool_chunks(encoder: nn.Module, log_mel: Tensor, *, is_bfloat16: bool = False) -> Tensor:
    """Return pooled features, float32 `[B, E]`, of log-mels `[B, T, M]` in dB, T being 1, 2 or 4 times 256 frames.

    With `is_bfloat16` the products are in bfloat16.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bfloat16):
        return _pool(encoder, log_mel).float()


def _pool(encoder: nn.Module, log_mel: Tensor) -> Tensor:
    norm = encoder.batch_norm
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    x = (log_mel - norm.running_mean) * scale + norm.bias
    num_chunks = x.shape[1] // CHUNK_FRAMES
    x = x.view(len(x), num_chunks, CHUNK_FRAMES, -1).transpose(2, 3)  # [B, chunk, M, T]
    x = encoder.patch_embed.proj(x.reshape(len(x), 1, -1, CHUNK_FRAMES))  # [B, C, H, W]
    x = encoder.patch_embed.norm(x.flatten(2).transpose(1, 2))
    side = encoder.patch_stride[0]
    height, width = num_chunks * log_mel.shape[2] // side, CHUNK_FRAMES // side
    for stage in encoder.layers:
        x = _stage(stage, x, height, width, is_whole=num_chunks == NUM_CHUNKS)
        height, width = height // 2, width // 2
    return encoder.norm(x).mean(1)


def fold_frames(log_mel: Tensor) -> Tensor:
    """Stretch a whole clip `[B, 1001, M]` to 1024 frames, as HTSAT does after batch norm."""
    frames = NUM_CHUNKS * CHUNK_FRAMES
    return F.interpolate(log_mel[:, None], (frames, log_mel.shape[2]), mode="bicubic", align_corners=True)[:, 0]


def _stage(stage: nn.Module, x: Tensor, height: int, width: int, *, is_whole: bool) -> Tensor:
    order = _order(height, width, 0)
    x = x[:, order]
    for index, block in enumerate(stage.blocks):
        shift = WINDOW // 2 if index % 2 and width > WINDOW else 0
        block_order = _order(height, width, shift)
        x = x[:, inverse(order)[block_order]]
        order = block_order
        x = x + _attention(block, x, min(WINDOW, height), _mask(height, width, shift, is_whole))
        x = x + block.output.dense(F.gelu(block.intermediate.dense(block.layernorm_after(x))))
    if stage.downsample is None:
        return x
    grid = torch.arange(height * width).view(height, width)
    quads = torch.stack([grid[row::2, column::2] for column in range(2) for row in range(2)], dim=-1)
    x = x[:, inverse(order)[quads.view(-1)]].view(len(x), height * width // 4, -1)
    return stage.downsample.reduction(stage.downsample.norm(x))


def _attention(block: nn.Module, x: Tensor, window_height: int, mask: Tensor | None) -> Tensor:
    attention = block.attention.self
    heads, tokens = attention.num_attention_heads, window_height * WINDOW
    num_clips, num_tokens, channels = x.shape
    parts = (attention.query, attention.key, attention.value)
    weight = torch.cat([part.weight for part in parts])
    qkv = F.linear(block.layernorm_before(x), weight, torch.cat([part.bias for part in parts]))
    qkv = qkv.view(num_clips * num_tokens // tokens, tokens, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)  # [B * windows, heads, S, C / heads]
    index = attention.relative_position_index[:tokens, :tokens].reshape(-1)
    bias = attention.relative_position_bias_table[index].view(tokens, tokens, heads).permute(2, 0, 1)
    scores = query * (channels // heads) ** -0.5 @ key.transpose(-1, -2)
    if mask is None:
        scores = scores + bias
    else:
        scores = (scores.view(num_clips, -1, heads, tokens, tokens) + (bias + mask[:, None])).view_as(scores)
    out = scores.softmax(-1) @ value
    return block.attention.output.dense(out.transpose(1, 2).reshape(num_clips, num_tokens, channels))


@cache
def _order(height: int, width: int, shift: int) -> Tensor:
    """Return `[T]`: for each place in window order, the row-major index of the token that stands there."""
    window = min(WINDOW, height)
    shift_rows = shift if height > WINDOW else 0
    grid = torch.arange(height * width).view(height, width).roll((-shift_rows, -shift), (0, 1))
    return grid.view(height // window, window, width // WINDOW, WINDOW).transpose(1, 2).reshape(-1)


@cache
def _mask(height: int, width: int, shift: int, is_whole: bool) -> Tensor | None:
    """Return `[windows, S, S]`: -100 between tokens that only the wrap of a shifted window brought together."""
    if not shift:
        return None

    def region(size: int) -> Tensor:
        place = torch.arange(size)
        return (place >= size - WINDOW).long() + (place >= size - shift).long()

    window = min(WINDOW, height)
    rows = region(height) if is_whole else torch.zeros(height, dtype=torch.long)
    regions = (rows[:, None] * 3 + region(width)).view(height // window, window, width // WINDOW, WINDOW)
    regions = regions.transpose(1, 2).reshape(-1, window * WINDOW)
    return (regions[:, None, :] != regions[:, :, None]).float() * -100.0
