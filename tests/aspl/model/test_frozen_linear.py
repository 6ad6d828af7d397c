import pytest
import torch
import torch.nn.functional as F

from aspl.model.frozen_linear import frozen_linear

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.fixture(params=["the device's best kernel", "torch's own"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch's own":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("shape", [(0, 5, 96), (1, 96), (2, 64, 96)])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("gelu", [False, True])
def test_it_equals_a_product_in_double_precision_with_and_without_gradients(shape, dtype, gelu):
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(size, generator=generator).to(dtype) for size in (shape, (40, 96), (40,)))
    weight = weight / 10
    exact_x = x.double().requires_grad_()
    exact = F.linear(exact_x, weight.double(), bias.double())
    exact = F.gelu(exact) if gelu else exact
    result = frozen_linear(x, weight, bias, gelu=gelu)
    trained = frozen_linear(x.requires_grad_(), weight, bias, gelu=gelu)
    upstream = torch.randn(exact.shape, generator=generator).to(dtype)
    (gradient,) = torch.autograd.grad(trained, x, upstream)
    (exact_gradient,) = torch.autograd.grad(exact, exact_x, upstream.double())
    assert result.dtype == trained.dtype == gradient.dtype == dtype
    tolerance = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    for ours, theirs in [(result, exact), (trained, exact), (gradient, exact_gradient)]:
        torch.testing.assert_close(ours.double(), theirs, **tolerance)


@pytest.mark.parametrize("gelu", [False, True])
def test_it_takes_what_a_view_gives_it(gelu):
    x, weight, bias = torch.randn(8, 96)[::2], torch.randn(40, 96), torch.randn(40)
    torch.testing.assert_close(
        frozen_linear(x, weight, bias, gelu=gelu), frozen_linear(x.contiguous(), weight, bias, gelu=gelu)
    )
