"""Typed results take no harm from what they do not know."""

import dataclasses

import pytest
from earshot_client.adapters import Adapter
from earshot_client.heard import Heard
from earshot_client.jobs import Job


def test_fields_are_typed_and_unknown_ones_kept():
    data = {
        "name": "farm",
        "current": 2,
        "versions": [1, 2],
        "adapter": {
            "version": 2,
            "labels": ["a"],
            "shots": {"a": 5},
            "report": {
                "accuracy": 0.5,
                "accuracy_interval": [0.1, 0.9],
                "per_label": {"a": {"recall": 1.0, "new": 1}},
                "confusion": [[1, 0], [0, 1]],
                "suspects": [{"clip": 1, "reasons": ["silent"]}],
            },
        },
        "channel": None,
        "new": True,
    }
    adapter = Adapter.from_json(data)
    report = adapter.adapter.report
    assert (adapter.versions, adapter.raw["new"]) == ((1, 2), True)
    assert (report.accuracy_interval, report.per_label["a"].recall) == ((0.1, 0.9), 1.0)
    assert (report.confusion, report.suspects[0].reasons) == (((1, 0), (0, 1)), ("silent",))


def test_what_is_missing_or_of_another_type_is_no_error():
    assert Job.from_json({}).state == "queued"
    assert Job.from_json({"progress": "soon", "adapter": {"name": "x"}}).progress == "soon"
    assert Heard.from_json({"windows": None, "scores": []}).windows is None


def test_results_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Heard(file="a").file = "b"
