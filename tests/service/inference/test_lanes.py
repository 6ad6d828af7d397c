import threading
import time

import numpy as np
import pytest
import torch

from aspl import Adapter
from service.inference.engine import Engine
from service.inference.queued_clip import QueuedClip
from service.metrics import Metrics


@pytest.fixture(scope="module")
def adapter(clap):
    return Adapter.zero_shot(clap, ["dog", "cat", "rain"])


@pytest.fixture
def engine(clap, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    engine = Engine(clap, batch_windows=2, metrics=Metrics(), num_lanes=2)
    yield engine
    engine.stop()


class Meeting:
    """Holds each batch until as many lanes as are wanted are at one; notes who came and on how many cores."""

    def __init__(self, engine, monkeypatch, num_lanes=2):
        self._barrier = threading.Barrier(num_lanes)
        self.lanes, self.cores = [], []
        encode = engine._encode
        monkeypatch.setattr(torch, "set_num_threads", self.cores.append)

        def encode_together(rows):
            self.lanes.append(threading.current_thread().name)
            self._barrier.wait(10)
            return encode(rows)

        monkeypatch.setattr(engine, "_encode", encode_together)


def queued(adapter, *, num_windows=1, **fields):
    windows = torch.randn(num_windows, 480_000, generator=torch.Generator().manual_seed(0)) * 0.1
    return QueuedClip(tenant="acme", windows=windows, adapter=adapter, deadline=time.monotonic() + 30, **fields)


def test_a_lane_alone_has_all_cores_and_two_share_them(engine, adapter, monkeypatch):
    cores = []
    monkeypatch.setattr(torch, "set_num_threads", cores.append)
    engine.start()
    engine.submit(queued(adapter)).result(10)
    assert cores == [2]
    meeting = Meeting(engine, monkeypatch)
    futures = [engine.submit(queued(adapter, num_windows=2)) for _ in range(2)]
    for future in futures:
        future.result(10)
    assert sorted(meeting.lanes) == ["inference-0", "inference-1"]
    assert sorted(meeting.cores) == [1, 2]


def test_a_clip_whose_windows_two_lanes_encode_is_scored_once_and_in_order(engine, adapter, clap, monkeypatch):
    lone = Engine(clap, batch_windows=4, metrics=Metrics())
    lone.start()
    expected = lone.submit(queued(adapter, num_windows=4, wants_windows=True)).result(10)
    lone.stop()
    meeting = Meeting(engine, monkeypatch)
    scored = []
    score = engine._score
    monkeypatch.setattr(engine, "_score", lambda clips: scored.append(len(clips)) or score(clips))
    engine.start()
    scores = engine.submit(queued(adapter, num_windows=4, wants_windows=True)).result(10)
    assert set(meeting.lanes) == {"inference-0", "inference-1"} and scored == [1]
    for one, other in zip((scores.clip, *scores.windows), (expected.clip, *expected.windows), strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    np.testing.assert_allclose(scores.curve, expected.curve, atol=1e-3)


def test_one_lane_that_hangs_is_noticed_while_the_other_serves(engine, adapter, monkeypatch):
    release, encode, hung = threading.Event(), engine._encode, threading.Event()

    def encode_but_the_first(rows):
        if not hung.is_set():
            hung.set()
            release.wait(10)
        return encode(rows)

    monkeypatch.setattr(engine, "_encode", encode_but_the_first)
    engine.start()
    first = engine.submit(queued(adapter))
    assert hung.wait(5)
    engine.submit(queued(adapter)).result(10)
    time.sleep(0.1)
    assert engine.is_stuck(0.05) and not engine.is_stuck(60)
    release.set()
    first.result(10)
    engine.submit(queued(adapter)).result(10)
    assert not engine.is_stuck(0.05)


def test_texts_stay_with_one_lane_and_leave_the_other_to_clips(engine, adapter, clap, monkeypatch):
    release, lanes, encode_text = threading.Event(), [], clap.encode_text

    def slow(texts):
        lanes.append(threading.current_thread().name)
        release.wait(10)
        return encode_text(texts)

    monkeypatch.setattr(clap, "encode_text", slow)
    engine.start()
    texts = engine.encode_texts("acme", ["dog", "cat"], timeout_s=30)
    while not lanes:
        time.sleep(0.01)
    engine.submit(queued(adapter)).result(10)
    release.set()
    assert texts.future.result(10).shape == (2, clap.joint_width) and set(lanes) == {"inference-0"}
