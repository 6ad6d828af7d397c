"""A record as other releases write and read it."""

import json
from dataclasses import asdict

from jobs.record import NEW_FIELDS, JobRecord

ADAPT = JobRecord(id="a" * 32, tenant="t", name="dogs", training={"method": "palm"}, created_at="2026-01-01T00:00:00Z")


def test_a_job_of_kind_adapt_is_written_as_the_releases_before_write_it():
    assert not ADAPT.to_fields().keys() & set(NEW_FIELDS)
    assert ADAPT.to_fields().keys() == asdict(ADAPT).keys() - set(NEW_FIELDS)
    assert JobRecord.from_fields(ADAPT.to_fields()) == ADAPT and ADAPT.kind == "adapt"


def test_another_kind_is_written_and_read_with_what_it_is_told():
    record = JobRecord(id="a" * 32, kind="evaluate", request={"against": "dogs@1"}, report={"accuracy": 1.0})
    assert JobRecord.from_fields(record.to_fields()) == record
    assert record.public()["report"] == {"accuracy": 1.0} and record.public()["kind"] == "evaluate"


def test_lists_and_events_leave_the_report_out():
    record = JobRecord(id="a" * 32, kind="evaluate", report={"accuracy": 1.0})
    assert "report" not in record.summary() and record.summary().keys() == record.public().keys() - {"report"}
    event = record.to_event()
    assert "report" not in event and "request" not in event
    json.dumps(record.summary())
