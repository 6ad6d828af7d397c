import pytest
import torch

from pretrain.statistics import FRAME_RATE_HZ, MODULATION_EDGES_HZ, NUM_BANDS, statistics

MEL_BINS = 64


def test_level_and_deviation_are_told_per_bin() -> None:
    log_mel = torch.linspace(-80, -10, MEL_BINS).expand(1, 256, MEL_BINS).clone()
    log_mel[0, ::2, 5] += 10
    found = statistics(log_mel)
    assert found.shape == (1, 3 * MEL_BINS + NUM_BANDS * (len(MODULATION_EDGES_HZ) - 1))
    mean, deviation, change = found[0, : 3 * MEL_BINS].split(MEL_BINS)
    torch.testing.assert_close(mean[6:], torch.linspace(-80, -10, MEL_BINS)[6:])
    assert deviation.argmax() == 5 and change.argmax() == 5
    assert change[5] == pytest.approx(10, abs=0.1) and change[6] == 0


@pytest.mark.parametrize("index", range(len(MODULATION_EDGES_HZ) - 1))
def test_a_beat_shows_in_its_range_of_modulation(index: int) -> None:
    low, high = MODULATION_EDGES_HZ[index : index + 2]
    time_s = torch.arange(512) / FRAME_RATE_HZ
    beat = 10 * torch.sin(2 * torch.pi * (low * high) ** 0.5 * time_s)
    found = statistics(-50 + beat[None, :, None].expand(1, 512, MEL_BINS))
    levels = found[0, 3 * MEL_BINS :].view(-1, NUM_BANDS)
    assert (levels.argmax(0) == index).all()
