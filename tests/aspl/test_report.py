"""The report in JSON: there and back, of earlier releases, and bounded."""

import json
from pathlib import Path

import pytest

from aspl import Adapter
from aspl.report import LabelReport, Report, Suspect

HELD = Path(__file__).parents[1] / "fixtures" / "first_release" / "adapters"


def test_it_comes_back_from_json_as_it_was():
    report = Report(
        num_clips=3,
        accuracy=0.5,
        accuracy_interval=(0.1, 0.9),
        per_label={"dog": LabelReport(3, 1.0, 0.5, 0.6, shots=4)},
        confusion=((1, 2), (0, 3)),
        suspects=(Suspect(1, "dog", id="a" * 64, reasons=("silent", "repeated")),),
    )
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report
    assert report["accuracy"] == 0.5 and report["per_class"] == report["per_label"]


@pytest.mark.parametrize("name", ["aspl_star", "cocoop", "coop", "palm", "zero_shot"])
def test_reports_of_the_first_release_are_read(name):
    file = (HELD / f"{name}.safetensors").read_bytes()
    facts = json.loads(json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])["__metadata__"]["adapter"])
    report = Report.from_json(facts["report"])
    assert report.accuracy == facts["report"]["accuracy"] and report.num_folds == 3
    assert report.per_label["dog bark"].recall == facts["report"]["per_class"]["dog bark"]["recall"]
    assert report.audio_prompt.held_out_loss == facts["report"]["audio_prompt"]["held_out_loss"]
    assert Adapter.read_header(file)["labels"]


def test_reports_of_0_2_0_are_read():
    unknown = {"threshold": 0.4, "taught_rejected": 0.1, "background_accepted": 0.02, "auroc": 0.97}
    suspect = {"clip": 3, "label": "dog", "sounds_like": "rain", "margin": -2.5, "file": "d.wav"}
    report = Report.from_json({"accuracy": None, "unknown": unknown, "suspects": [suspect], "num_background": 0})
    assert (report.background.rejected, report.background.false_acceptance) == (0.1, 0.02)
    assert report.suspects == (Suspect(3, "dog", file="d.wav", sounds_like="rain", margin=-2.5),)


@pytest.mark.parametrize(
    "facts",
    [
        [],
        {"accuracy": "high"},
        {"accuracy": float("nan")},
        {"accuracy": True},
        {"accuracy": 10**400},
        {"accuracy_interval": [0.1]},
        {"num_clips": 1.5},
        {"confusion": [[0] * 51] * 51},
        {"per_label": {"dog": {"num_clips": 1}}},
        {"per_label": [1]},
        {"suspects": [{"clip": 0, "label": "dog"}] * 101},
        {"optimism": ["x" * 1001]},
        {"left_out": [{"file": "a", "label": None, "error": {"code": 1}}]},
    ],
)
def test_what_cannot_be_a_report_is_refused(facts):
    with pytest.raises(ValueError, match=r"is no object|is not|lacks a field"):
        Report.from_json(facts)
