import torch

from pretrain.augmentation import FLOOR_DB, augment, cut


def test_cut_prefers_where_something_sounds() -> None:
    log_mel = torch.full((256, 1001, 64), FLOOR_DB)
    log_mel[:, 100:200] = 0.0
    picked = cut(log_mel, 256, torch.Generator().manual_seed(0))
    assert picked.shape == (256, 256, 64)
    assert (picked.amax((1, 2)) == 0).float().mean() > 0.7


def test_augment_keeps_the_shape_and_the_seed() -> None:
    log_mel = torch.randn(6, 256, 64) * 20 - 50
    first, second = (augment(log_mel, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == log_mel.shape
    assert torch.isfinite(first).all()
    assert first.min() >= FLOOR_DB - 1e-3
    assert not torch.equal(first, log_mel)
