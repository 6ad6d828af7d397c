import pytest

from worker.promotion import decide


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
