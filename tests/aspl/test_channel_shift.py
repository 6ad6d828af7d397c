import numpy as np
import pytest

from aspl.channel_shift import Differences, clip_weights, estimate_shift
from aspl.curves import TaughtCurves

BINS, LABELS, SHOTS = 64, 5, [8] * 5
CENTRES_HZ = np.geomspace(60, 14_000, BINS)
CHANNEL = 12 * np.sin(np.linspace(0, 10, BINS))


@pytest.fixture
def taught():
    generator = np.random.default_rng(0)
    mean = np.cumsum(generator.normal(0, 3, (LABELS + 1, BINS)), 1) - 40
    return TaughtCurves(mean.astype(np.float32), np.full((LABELS + 1, BINS), 9.0, np.float32))


def live(taught, classes, channel, *, known=1.0, seed=1) -> Differences:
    """Clips that vary in level, and a little from bin to bin."""
    generator = np.random.default_rng(seed)
    level, own = generator.normal(0, 8, (len(classes), 1)), generator.normal(0, 2, (len(classes), BINS))
    curves = taught.mean[classes] + level + own + channel
    posteriors = np.eye(LABELS)[classes]
    return Differences.of(curves, posteriors, clip_weights(np.full(len(classes), known)), taught)


def off_db(taught, differences, channel) -> float:
    return float((estimate_shift(differences, taught, SHOTS, CENTRES_HZ).curve - channel).std())


def test_a_channel_is_found_whatever_the_clips_levels(taught):
    few, many = (off_db(taught, live(taught, np.arange(n) % LABELS, CHANNEL), CHANNEL) for n in (5, 40))
    assert many < few < 0.6 * CHANNEL.std()


def test_lines_that_recordings_of_a_label_have_in_common_hardly_pass_for_the_channel(taught):
    classes, off = np.arange(15) % LABELS, []
    for seed in range(3):
        lines = np.random.default_rng(seed).normal(0, 9, (LABELS, BINS))[classes]
        off.append(off_db(taught, live(taught, classes, CHANNEL + lines, seed=seed), CHANNEL))
    assert np.mean(off) < 1.8


def test_no_channel_is_found_where_there_is_none(taught):
    shift = estimate_shift(live(taught, np.arange(20) % LABELS, 0.0), taught, SHOTS, CENTRES_HZ)
    assert shift.size_db < 1.5 and shift.evidence < 0
    assert estimate_shift(live(taught, np.arange(40) % LABELS, CHANNEL), taught, SHOTS, CENTRES_HZ).evidence > 10


def test_one_label_and_doubtful_clips_say_less(taught):
    mixed = estimate_shift(live(taught, np.arange(10) % LABELS, CHANNEL), taught, SHOTS, CENTRES_HZ).size_db
    one = estimate_shift(live(taught, np.zeros(10, int), CHANNEL), taught, SHOTS, CENTRES_HZ).size_db
    doubtful = estimate_shift(live(taught, np.arange(10) % LABELS, CHANNEL, known=0.3), taught, SHOTS, CENTRES_HZ)
    assert one < mixed and doubtful.size_db < 0.7 * mixed


def test_sums_add_up_and_shift(taught):
    classes = np.array([0, 1, 1, 4])
    parts = [live(taught, classes[:2], CHANNEL), live(taught, classes[2:], CHANNEL)]
    whole = Differences.from_vector(parts[0].vector() + parts[1].vector(), LABELS)
    assert whole.clips == 4 and whole.by_label.tolist() == [1, 2, 0, 0, 1] and whole.num_labels == pytest.approx(16 / 6)
    behind = whole.behind(CHANNEL)
    assert np.allclose(behind.mean, whole.mean + CHANNEL) and np.allclose(behind.deviation, whole.deviation)
    nothing = Differences.from_vector(np.zeros(3 + LABELS + 2 * BINS), LABELS)
    assert nothing.num_effective == 0 and not estimate_shift(nothing, taught, SHOTS, CENTRES_HZ).curve.any()
    for wrong in (np.zeros(5), np.full(3 + LABELS + 2 * BINS, np.nan), np.zeros(2 + LABELS + 2 * BINS)):
        with pytest.raises(ValueError):
            Differences.from_vector(wrong, LABELS)
