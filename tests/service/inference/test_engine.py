import threading
import time
from concurrent.futures import wait
from dataclasses import replace

import numpy as np
import pytest
import torch

from aspl import Adapter, AudioFeatures
from aspl.heads.cocoop import CoCoOpHead
from aspl.heads.guarded import GuardedHead
from aspl.heads.linear import LinearHead
from aspl.inference import hear_windows, score
from aspl.known import SENSITIVITIES, KnownRule
from aspl.methods import METHODS
from service.inference import engine as engine_module
from service.inference.engine import Engine, measure_batch_windows
from service.inference.errors import ModelFailed, QueueTimeout
from service.inference.queued_clip import QueuedClip
from service.inference.text_steps import Pace
from service.metrics import Metrics


@pytest.fixture(scope="module")
def adapter(clap):
    return Adapter.zero_shot(clap, ["dog", "cat", "rain"])


@pytest.fixture
def engine(clap):
    engine = Engine(clap, batch_windows=4, metrics=Metrics())
    yield engine
    engine.stop()


class Gate:
    """Holds the engine in front of its batches, and notes their sizes."""

    def __init__(self, engine, monkeypatch):
        self.open = threading.Event()
        self.entered = threading.Event()
        self.sizes = []
        encode = engine._encode

        def encode_once_open(rows):
            self.entered.set()
            self.open.wait(10)
            self.sizes.append(sum(row.count for row in rows))
            return encode(rows)

        monkeypatch.setattr(engine, "_encode", encode_once_open)


def queued(adapter, *, tenant="acme", num_windows=1, timeout_s=30.0, seed=0, **fields):
    windows = torch.randn(num_windows, 480_000, generator=torch.Generator().manual_seed(seed)) * 0.1
    deadline = time.monotonic() + timeout_s
    return QueuedClip(tenant=tenant, windows=windows, adapter=adapter, deadline=deadline, **fields)


def test_alone_or_in_any_batch_the_scores_are_the_same(engine, adapter, monkeypatch):
    gate = Gate(engine, monkeypatch)
    gate.open.set()
    engine.start()
    alone = [engine.submit(queued(adapter, seed=seed)).result(10).clip.probabilities for seed in range(5)]
    gate.open.clear()
    futures = [engine.submit(queued(adapter, seed=seed, tenant=f"t{seed}")) for seed in range(5)]
    gate.open.set()
    for one, future in zip(alone, futures, strict=True):
        np.testing.assert_allclose(future.result(10).clip.probabilities, one, atol=1e-5)


def test_each_clip_is_heard_at_the_level_of_its_adapter(engine, adapter):
    engine.start()
    levelled = replace(adapter, level_db=-20.0)
    scores = [
        engine.submit(clip).result(10)
        for clip in (
            queued(levelled, level_db=-26.0),
            queued(levelled, level_db=-20.0),
            queued(adapter, level_db=-26.0),
        )
    ]
    raised, as_it_is, untouched = scores
    np.testing.assert_allclose(raised.curve - as_it_is.curve, 6.0, atol=1e-3)
    np.testing.assert_allclose(untouched.curve, as_it_is.curve, atol=1e-6)


def test_an_idle_engine_starts_at_once_and_a_busy_one_fills_its_batch(engine, adapter, monkeypatch):
    gate = Gate(engine, monkeypatch)
    engine.start()
    first = engine.submit(queued(adapter))
    assert gate.entered.wait(5)
    rest = [engine.submit(queued(adapter)) for _ in range(6)]
    gate.open.set()
    wait([first, *rest], 10)
    assert gate.sizes == [1, 4, 2]


def test_a_clip_of_many_windows_is_spread_over_batches_and_lets_others_pass(engine, adapter, monkeypatch):
    gate = Gate(engine, monkeypatch)
    long = queued(adapter, num_windows=11, wants_windows=True)
    short = queued(adapter, tenant="other")
    ended = []
    for name, each in (("long", long), ("short", short)):
        each.future.add_done_callback(lambda _, name=name: ended.append(name))
        engine.queue.put(each)  # before the engine starts, so that the batches are the same every time
    gate.open.set()
    engine.start()
    wait([long.future, short.future], 20)
    assert ended == ["short", "long"]
    assert len(long.future.result().windows) == 11
    assert gate.sizes == [4, 4, 4]


def test_a_cancelled_clip_is_never_encoded(engine, adapter, monkeypatch):
    gate = Gate(engine, monkeypatch)
    engine.start()
    first = engine.submit(queued(adapter))
    assert gate.entered.wait(5)
    left, kept = engine.submit(queued(adapter)), engine.submit(queued(adapter))
    assert left.cancel()
    gate.open.set()
    wait([first, kept], 10)
    assert gate.sizes == [1, 1]


def test_a_fault_fails_only_its_own_clip(engine, adapter):
    broken = replace(adapter, labels=("dog",), head=None)
    engine.queue.put(good := queued(adapter))
    engine.queue.put(bad := queued(broken))
    engine.queue.put(short := queued(adapter))
    short.windows = torch.zeros(1, 7)  # cannot be encoded
    engine.start()
    assert good.future.result(10).clip.probabilities.shape == (3,)
    for failed in (bad, short):
        with pytest.raises(ModelFailed, match="failed on this clip"):
            failed.future.result(10)
    assert not engine.is_fresh(60)
    assert engine.submit(queued(adapter)).result(10).clip.probabilities.shape == (3,)
    assert engine.is_fresh(60)


def test_a_fault_of_the_thread_fails_those_who_wait_and_is_survived(engine, adapter, monkeypatch):
    with monkeypatch.context() as accident:
        accident.setattr(engine, "_serve", lambda rows: 1 / 0)
        futures = []
        for _ in range(6):
            engine.queue.put(waiting := queued(adapter))
            futures.append(waiting.future)
        engine.start()
        wait(futures, 10)
        assert {future.exception().code for future in futures} == {"engine_fault"}
        assert not engine.is_fresh(60)
    assert engine.submit(queued(adapter)).result(10)
    assert engine.is_fresh(60)


def test_a_clip_that_waited_too_long_is_refused(engine, adapter):
    engine.queue.put(late := queued(adapter, timeout_s=-1))
    engine.start()
    with pytest.raises(QueueTimeout):
        late.future.result(10)


def test_only_what_no_batch_has_taken_expires_and_its_room_is_free(engine, adapter):
    engine.queue.put(begun := queued(adapter, num_windows=2))
    engine.queue.put(waiting := queued(adapter))
    engine.queue.take(1)
    for each in (begun, waiting, waiting):
        engine.queue.expire(each)
    assert not begun.future.done()
    assert waiting.future.exception(0).code == "queue_timeout"
    assert engine.queue.num_units() == 1
    engine.queue.withdraw(begun)
    assert engine.queue.num_units() == 0
    assert engine.queue.take(1) == []


def test_tenants_take_turns(engine, adapter):
    for _ in range(6):
        engine.queue.put(queued(adapter, tenant="busy"))
    engine.queue.put(queued(adapter, tenant="rare"))
    assert [part.work.tenant for part in engine.queue.take(3)] == ["busy", "rare", "busy"]


def test_stopping_fails_what_waits(engine, adapter):
    engine.queue.put(waiting := queued(adapter))
    engine.stop()
    assert waiting.future.exception(1).code == "not_ready"


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 1.0, 2: 1.5, 4: 2.0}, 4),
        ({1: 1.0, 2: 1.5, 4: 4.0}, 2),
        ({1: 1.0, 2: 1.95, 4: 3.9}, 1),  # not worth the wait
    ],
)
def test_the_batch_of_the_most_windows_a_second_is_taken(clap, monkeypatch, seconds, best):
    monkeypatch.setattr(engine_module, "_encode_s", lambda clap, count: seconds[count])
    assert measure_batch_windows(clap, tuple(seconds)) == best


def test_a_batch_is_timed_with_a_real_pass(clap, monkeypatch):
    encoded, encode = [], engine_module.hear_windows

    def noted(clap, windows, prompts, **options):
        encoded.append(len(windows))
        return encode(clap, windows, prompts, **options)

    monkeypatch.setattr(engine_module, "hear_windows", noted)
    monkeypatch.setattr(engine_module, "MEASURE_LIMIT_S", 60.0)
    measure_batch_windows(clap, (1, 2))
    assert encoded == [1, *[1, 2] * engine_module.MEASURE_ROUNDS]


def test_a_moment_of_other_work_does_not_decide_the_batch(clap, monkeypatch):
    disturbed, quiet = [5.0, 0.3, 0.9], [0.1, 0.3, 0.9]  # seconds for 1, 2 and 4 windows
    times = iter(disturbed * 2 + quiet * engine_module.MEASURE_ROUNDS)
    monkeypatch.setattr(engine_module, "_encode_s", lambda clap, count: next(times))
    assert measure_batch_windows(clap, (1, 2, 4)) == 1


def test_a_start_that_is_late_leaves_sizes_out(clap, monkeypatch):
    asked = []
    monkeypatch.setattr(engine_module, "_encode_s", lambda clap, count: asked.append(count) or 1.0)
    assert measure_batch_windows(clap, (1, 2, 4)) == 4
    monkeypatch.setattr(engine_module, "MEASURE_LIMIT_S", -1.0)
    asked.clear()
    assert measure_batch_windows(clap, (1, 2, 4)) == 1
    assert not asked


@pytest.fixture(params=["words alone", "beside a head that hears"])
def cocoop(clap, request):
    labels = [f"sound {number}" for number in range(50)]
    prompt = METHODS["cocoop"].untrained(clap, labels)
    words = replace(Adapter.zero_shot(clap, labels), head=CoCoOpHead.of(prompt), method="cocoop")
    if request.param == "words alone":
        return words
    generator = np.random.default_rng(0)
    width = clap.statistics_width + clap.joint_width
    hearing = LinearHead.fitted(generator.normal(0, 0.01, (len(labels) + 1, width)), np.zeros(len(labels) + 1), clap)
    row = (0.5,) * len(labels)
    rule = KnownRule(1.0, 0.0, row, dict.fromkeys(SENSITIVITIES, row))
    return replace(words, head=GuardedHead(words.head, hearing), known=rule)


def test_scores_that_take_text_passes_are_the_same_in_steps(engine, cocoop, clap):
    clip = queued(cocoop, num_windows=3, wants_windows=True)
    engine.start()
    scores = engine.submit(clip).result(60)
    heard = hear_windows(clap, clip.windows, [None] * 3, stages=True)
    rows = AudioFeatures.cat([heard.pool(), heard])
    expected = score(rows, [cocoop] * 4)
    for one, other in zip([scores.clip, *scores.windows], expected, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
        assert one.known == pytest.approx(other.known, abs=1e-5)


def test_a_clip_passes_what_takes_thousands_of_text_passes(engine, cocoop, adapter):
    """Such a clip was one step, of a minute and more on the full-size model, in the one thread there is."""
    heavy = queued(cocoop, num_windows=120, wants_windows=True)
    engine.queue.put(heavy)
    engine.start()
    while engine.texts.num_units() == 0:
        time.sleep(0.001)
    before = engine.texts.num_units()
    for seed in range(5):
        started_at = time.monotonic()
        engine.submit(queued(adapter, tenant="other", seed=seed)).result(10)
        assert time.monotonic() - started_at < 2  # a step and a batch take 0.1 s each on a quiet machine
    assert 0 < engine.texts.num_units() < before <= 121 * 50
    heavy.future.cancel()


def test_tenants_take_turns_at_the_text_encoder_and_leave_it_with_their_clients(engine, clap):
    engine.start()
    many = engine.encode_texts("busy", [f"label {number}" for number in range(1000)], timeout_s=30)
    while many.num_taken == 0:
        time.sleep(0.001)
    few = engine.encode_texts("rare", ["dog", "cat"], timeout_s=30)
    features = few.future.result(10)
    assert not many.future.done()
    torch.testing.assert_close(features, clap.encode_text(["dog", "cat"]), atol=1e-5, rtol=0)
    assert many.future.cancel()
    deadline = time.monotonic() + 5
    while engine.texts.num_units() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.texts.num_units() == 0


def test_a_step_takes_as_long_as_it_may():
    pace = Pace(0.1)
    for _ in range(10):
        pace.note(pace.num_units, pace.num_units * 0.01)  # 10 ms a pass
    assert pace.num_units == 10
    pace.note(10, 0.5)  # the machine is busy
    assert pace.num_units == 2
    pace.note(2, 60.0)
    assert pace.num_units == 1


def test_a_batch_is_one_pass_however_large(clap, adapter, monkeypatch):
    engine = Engine(clap, batch_windows=64, metrics=Metrics())
    passes, hear = [], type(clap).hear
    monkeypatch.setattr(
        type(clap),
        "hear",
        lambda self, mel, *rest, **options: passes.append(len(mel)) or hear(self, mel, *rest, **options),
    )
    engine.queue.put(clip := queued(adapter, num_windows=40))
    engine.start()
    clip.future.result(30)
    engine.stop()
    assert passes == [40]


def test_a_long_clip_may_share_its_batches_with_any_adapter(engine, adapter, clap):
    """Its first batch reads the stages, for the other's sake, and its second does not."""
    generator = torch.Generator().manual_seed(0)
    shapes = LinearHead.shapes(3, clap)
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    linear = replace(adapter, head=LinearHead.load(tensors, (), clap), method="ridge")
    engine.queue.put(long := queued(adapter, num_windows=6, tenant="a"))
    engine.queue.put(short := queued(linear, tenant="b"))
    engine.start()
    assert long.future.result(30).clip.probabilities.shape == (3,)
    assert short.future.result(30).clip.probabilities.shape == (3,)
