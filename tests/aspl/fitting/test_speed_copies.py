import numpy as np
import pytest
import torch

from aspl.errors import TrainingDataInvalid
from aspl.fitting.heard_clip import HeardClip, hear_clips
from aspl.fitting.room import in_a_room, pink_noise
from aspl.fitting.speed_copies import (
    MOST_COPIED,
    MOST_HEARINGS,
    ROOMS_BELOW_DB,
    SPEED,
    at_speed,
    copies_for,
    copy_of,
    filled,
    once,
)
from aspl.sound.log_mel import FrontEnd, LogMel

RATE_HZ = 48_000
SECONDS = 10
CENTRES_HZ = LogMel().centres_hz


def beats(speed: float) -> torch.Tensor:
    """A tone of 1500 Hz that swells twice a second, played at `speed`."""
    times = speed * np.arange(SECONDS * RATE_HZ) / RATE_HZ
    swell = 0.5 - 0.4 * np.cos(2 * np.pi * 2 * times)
    sound = swell * np.sin(2 * np.pi * 1500 * times) + 0.001 * np.random.default_rng(0).normal(size=len(times))
    return LogMel()(torch.from_numpy(0.3 * sound).float()[None])


@pytest.mark.parametrize("speed", [SPEED, 1 / SPEED])
def test_a_sound_at_another_speed_is_that_sound_played_at_it(speed):
    found, played, as_it_is = at_speed(beats(1.0), speed, CENTRES_HZ), beats(speed), beats(1.0)
    loud = played.mean(2).flatten().topk(3).indices
    assert loud[0] == found.mean(2).argmax() != as_it_is.mean(2).argmax()
    swell, swell_found, swell_before = (each[0, 0, :800, loud].mean(1) for each in (played, found, as_it_is))

    def likeness(first, second):
        return float(torch.corrcoef(torch.stack([first, second]))[0, 1])

    assert likeness(swell, swell_found) > 0.95 > 0.5 > likeness(swell, swell_before)


def test_at_its_own_speed_a_sound_is_as_it_is():
    before = beats(1.0)
    found = at_speed(before, 1.0, CENTRES_HZ)
    assert torch.equal(found[:, :, :-1], before[:, :, :-1])  # the last frame is the first again


def long_copy(windows: torch.Tensor, number: int, *, order: int) -> torch.Tensor:
    """The copy of a clip of 20 s."""
    return copy_of(windows, number, CENTRES_HZ, num_samples=20 * RATE_HZ, order=order)


@pytest.mark.parametrize("loudest", range(3))
def test_a_clip_has_a_copy_at_each_speed_of_its_loudest_window(loudest):
    windows = torch.randn(3, 1, 101, 64)
    windows[loudest] += 20
    first, second = (long_copy(windows, number, order=1) for number in (0, 1))
    assert torch.equal(first, at_speed(windows[loudest : loudest + 1], SPEED, CENTRES_HZ))
    assert torch.equal(second, at_speed(windows[loudest : loudest + 1], 1 / SPEED, CENTRES_HZ))
    assert torch.equal(first, long_copy(windows, 1, order=2))


def test_the_more_clips_there_are_the_fewer_copies_each_has():
    counts = [copies_for(num_clips) for num_clips in range(1, 3000)]
    assert counts == sorted(counts, reverse=True) and counts[0] == 2 and counts[-1] == 0
    assert all(num_clips * (1 + copies) <= MOST_HEARINGS for num_clips, copies in enumerate(counts, 1) if copies > 1)
    assert counts[MOST_COPIED - 1] == 1 and counts[MOST_COPIED] == 0


def noise_log_mel(num_samples: int, repeats: int) -> torch.Tensor:
    noise = 0.1 * torch.randn(1, num_samples, generator=torch.Generator().manual_seed(0))
    played = noise.repeat(1, repeats)
    return LogMel()(torch.nn.functional.pad(played, (0, SECONDS * RATE_HZ - played.shape[1])))


@pytest.mark.parametrize("shift_db", [0.0, 12.5])
def test_a_clip_that_was_padded_fills_its_window_in_the_first_copy(shift_db):
    padded = noise_log_mel(240_048, 1) + shift_db * torch.linspace(-1, 1, 64)
    full = filled(padded)
    sounding = 501  # frames, the last of which hears half of its window
    assert torch.equal(full[:, :, :sounding], padded[:, :, :sounding])
    assert torch.equal(full[:, :, 502:], padded[:, :, : 1001 - 502])
    first, second = (copy_of(padded, number, CENTRES_HZ, num_samples=240_048, order=1) for number in (0, 1))
    assert torch.equal(first, at_speed(full, SPEED, CENTRES_HZ))
    assert torch.equal(second, at_speed(padded, 1 / SPEED, CENTRES_HZ))


@pytest.mark.parametrize("window", [torch.full((1, 1, 101, 64), -100.0), torch.randn(1, 1, 101, 64)])
def test_a_silent_window_and_a_full_one_stay_as_they_are(window):
    assert torch.equal(filled(window), window)


@pytest.mark.parametrize(("num_samples", "sounding"), [(240_000, 500), (48_000, 100), (48_001, 101), (500, 2)])
def test_a_clip_that_was_repeated_is_in_the_first_copy_once(num_samples, sounding):
    repeated = noise_log_mel(num_samples, SECONDS * RATE_HZ // num_samples)
    alone = once(repeated, num_samples)
    assert torch.equal(alone[:, :, :sounding], repeated[:, :, :sounding])
    assert (alone[:, :, sounding:] == FrontEnd().floor_db).all()
    # As the clip would be heard with silence behind it, but for the frames that hear a part of both.
    padded = noise_log_mel(num_samples, 1)
    assert torch.equal(padded[:, :, : sounding - 2], alone[:, :, : sounding - 2])
    assert torch.equal(padded[:, :, sounding + 2 :], alone[:, :, sounding + 2 :])
    copies = [copy_of(repeated, 0, CENTRES_HZ, num_samples=num_samples, order=order) for order in (0, 2, 4)]
    played = at_speed(alone, 1 / SPEED, CENTRES_HZ)
    for copy, below_db, order in zip(copies, ROOMS_BELOW_DB, (0, 2, 4), strict=True):
        assert torch.equal(copy, in_a_room(played, below_db, start=order))


@pytest.mark.parametrize("below_db", [30, 50])
def test_a_room_is_so_far_below_what_sounds_in_it(below_db):
    alone = once(noise_log_mel(48_000, 10), 48_000)
    heard = in_a_room(alone, below_db, start=7)

    def level_db(frames: torch.Tensor) -> torch.Tensor:
        return 10 * torch.log10((10 ** (frames / 10)).sum(-1)).flatten()

    loudest, noise = level_db(alone).max(), level_db(heard[:, :, 100:])
    assert abs(float(loudest - noise.mean()) - below_db) < 1
    assert (heard - alone)[:, :, :100].abs().mean() < 0.2 and noise.std() < 2
    assert torch.equal(heard, in_a_room(alone, below_db, start=7))
    assert not torch.equal(heard, in_a_room(alone, below_db, start=8))


def test_a_room_takes_a_waveform_as_noise_would():
    """Added to the log-mel, the noise is what it is where it is added to the samples, but for their phases."""
    sound = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(SECONDS * RATE_HZ) / RATE_HZ)
    noise = pink_noise(len(sound), seed=1)
    heard = in_a_room(LogMel()(torch.from_numpy(sound).float()[None]), 40, start=0)[0, 0].mean(0)
    level = (10 ** (heard / 10)).sum()
    for factor in np.geomspace(1e-1, 1e-4, 31):
        mixed = LogMel()(torch.from_numpy(sound + factor * noise).float()[None])[0, 0].mean(0)
        if torch.median(mixed) < torch.median(heard):
            break
    assert abs(float(10 * torch.log10((10 ** (mixed / 10)).sum() / level))) < 1
    assert (mixed - heard).abs().mean() < 1.5


def test_a_silent_window_stays_silent():
    silent = torch.full((1, 1, 1001, 64), FrontEnd().floor_db)
    assert (in_a_room(silent, 30, start=0) - silent).abs().max() < 0.5


def test_copies_are_heard_as_clips_are_and_survive_their_bytes(clap):
    waveform = (0.1 * np.random.default_rng(1).normal(size=2 * RATE_HZ)).astype(np.float32)
    (plain,), (clip,) = (list(hear_clips(clap, [waveform], level_db=None, copies=copies)) for copies in (0, 2))
    assert np.allclose(clip.stages, plain.stages) and len(plain.copies) == 0
    log_mel = clap.log_mel(torch.from_numpy(np.tile(waveform, 5))[None]).cpu()
    for number, copy in enumerate(clip.copies):
        heard = copy_of(
            log_mel,
            number,
            clap.mel_centres_hz,
            num_samples=len(waveform),
            order=clip.order,
        )
        features = clap.hear(heard.to(clap.device), stages=True)
        expected = torch.cat([features.stages, features.joint], 1)[0].cpu().numpy()
        np.testing.assert_allclose(copy, expected, atol=1e-4, rtol=1e-3)
    again = HeardClip.from_bytes(clip.to_bytes())
    assert np.array_equal(again.copies, clip.copies) and np.array_equal(again.joint, clip.joint)
    assert clip.to_bytes()[:4] == b"heh4" and plain.to_bytes()[:4] == b"heh2"  # which earlier releases read
    earlier = HeardClip.from_bytes(b"heh3" + clip.to_bytes()[4:])  # whose copies are padded as the clip
    assert len(earlier.copies) == 0 and np.array_equal(earlier.stages, clip.stages)
    width = 4 * clip.copies.shape[1]
    for cut in (1, 4, width - 4, width, 2 * width, 2 * width + 4, len(clip.to_bytes()) - 30):
        with pytest.raises(TrainingDataInvalid):
            HeardClip.from_bytes(clip.to_bytes()[:-cut])
