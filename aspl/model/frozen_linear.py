"""A product with frozen weights, by the fastest kernel that the device has.

On a CPU torch hands float32 products to MKL, which keeps its best kernels for Intel's processors, and copies the bias
into the result beforehand. oneDNN, which torch carries too, has kernels as good for both makers, and adds the bias and
takes the activation before a result leaves the cache. torch reaches it through an operator of its compiler's, called
here as it stands, since compiling would need a C++ compiler wherever the model is served.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def frozen_linear(x: Tensor, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> Tensor:
    """Return `x @ weight.T + bias`, through the exact GELU (arXiv 1606.08415) if wished: `[..., C]` -> `[..., C']`.

    Gradients reach `x` alone.
    """
    if not _has_onednn(x):
        product = F.linear(x, weight, bias)
    elif torch.is_grad_enabled() and x.requires_grad:
        product = _OneDnnLinear.apply(x, weight, bias)
    else:
        return _onednn_linear(x, weight, bias, gelu=gelu)
    return F.gelu(product) if gelu else product


class _OneDnnLinear(torch.autograd.Function):
    """The operator knows no gradient of its own; of frozen weights only the one of `x` is wanted."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return _onednn_linear(x, weight, bias)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return _onednn_linear(gradient, weight.T, None), None, None


def _onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None, *, gelu: bool = False) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu" if gelu else "none", [], "none")


def _has_onednn(x: Tensor) -> bool:
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return x.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()
