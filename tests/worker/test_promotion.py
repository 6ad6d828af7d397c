from dataclasses import replace

import pytest

from adapters_store import Taught, TaughtClip
from worker.promotion import Comparison, decide


@pytest.fixture
def publish(store):
    return lambda *labels, **how: store.publish("t", "pets", b"adapter", {"labels": list(labels)}, **how)


@pytest.mark.parametrize("wish", ["auto", "always", "never"])
def test_the_first_version_takes_over(store, wish):
    assert decide(store, "t", "pets", ["cat", "dog"], wish).takes_over


@pytest.mark.parametrize(
    ("labels", "takes_over"),
    [(["cat", "dog"], True), (["dog", "cat", "owl"], True), (["cat"], False), (["owl", "fox"], False)],
)
def test_a_version_that_forgets_a_label_stands_by(store, publish, labels, takes_over):
    publish("cat", "dog")
    decision = decide(store, "t", "pets", labels)
    assert decision.takes_over == takes_over
    assert ("'dog'" in decision.reason) == (not takes_over)


def test_it_is_the_current_version_that_counts(store, publish):
    publish("cat", "dog")
    publish("cat", "dog", "owl", takes_over=False)
    assert decide(store, "t", "pets", ["cat", "dog"]).takes_over


def test_a_wish_is_followed(store, publish):
    publish("cat", "dog")
    assert decide(store, "t", "pets", ["owl"], "always").takes_over
    assert not decide(store, "t", "pets", ["cat", "dog"], "never").takes_over


def test_a_damaged_pointer_is_no_version(store, publish, settings):
    publish("cat", "dog")
    (settings.data_dir / "adapters" / "t" / "pets" / "current").write_text("{")
    assert decide(store, "t", "pets", ["owl"]).takes_over


def test_many_lacking_labels_are_named_in_part(store, publish):
    publish(*(f"label {number}" for number in range(20)))
    reason = decide(store, "t", "pets", ["owl"]).reason
    assert "and 15 more" in reason and len(reason) < 300


def _rows(*answers):
    """Clips of the label "cat", each answered with this label, held out; None for one that was not."""
    held = [answer and {"label": answer, "score": 0.9} for answer in answers]
    return tuple(TaughtClip(f"{number:064x}", "cat", held_out=answer) for number, answer in enumerate(held))


@pytest.mark.parametrize(
    ("before", "after", "takes_over", "counts"),
    [
        (["cat"] * 10, ["cat"] * 10, True, (10, 10, 10)),
        (["cat"] * 10, ["cat"] * 9 + ["dog"], True, (10, 10, 9)),  # one clip may be chance
        (["cat"] * 10, ["cat"] * 8 + ["dog"] * 2, False, (10, 10, 8)),
        (["cat"] * 100, ["cat"] * 97 + ["dog"] * 3, True, (100, 100, 97)),  # three points
        (["cat"] * 100, ["cat"] * 96 + ["dog"] * 4, False, (100, 100, 96)),
        (["cat", "cat", None, None], [None, None, "dog", "dog"], True, None),
        (["cat", "cat", "dog"], ["dog", "dog", None], False, (2, 2, 0)),
    ],
)
def test_a_version_that_does_worse_on_the_same_clips_stands_by(store, before, after, takes_over, counts):
    store.publish("t", "pets", b"a", {"labels": ["cat", "dog"]}, taught=Taught("nothing", _rows(*before)))
    decision = decide(store, "t", "pets", ["cat", "dog"], clips=_rows(*after))
    assert decision.takes_over == takes_over
    comparison = decision.comparison
    assert (comparison and (comparison.shared_clips, comparison.correct_before, comparison.correct_after)) == counts
    assert ("could not be compared" in decision.reason) == (counts is None)
    assert counts is None or f"of {counts[0]} clips" in decision.reason
    assert decide(store, "t", "pets", ["cat", "dog"], "always", clips=_rows(*after)).takes_over


def test_a_clip_of_another_label_is_not_the_same(store):
    rows = _rows("cat", "cat")
    store.publish("t", "pets", b"a", {"labels": ["cat"]}, taught=Taught("nothing", rows))
    relabelled = [replace(rows[0], label="dog", held_out={"label": "cat", "score": 0.9}), rows[1]]
    assert decide(store, "t", "pets", ["cat", "dog"], clips=relabelled).comparison == Comparison(1, 1, 1)


def test_a_clip_under_two_labels_counts_as_wrong(store):
    rows = _rows(*["cat"] * 10)
    store.publish("t", "pets", b"a", {"labels": ["cat", "dog"]}, taught=Taught("nothing", rows))
    # Nothing can be held out of them any more.
    twice = [replace(row, label=label, held_out=None) for row in rows[:4] for label in ("cat", "dog")]
    decision = decide(store, "t", "pets", ["cat", "dog"], clips=[*twice, *rows[4:]])
    assert not decision.takes_over and decision.comparison == Comparison(10, 10, 6)
