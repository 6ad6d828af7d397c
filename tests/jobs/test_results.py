import pytest

from jobs.errors import ResultsNotFound, StagingUnavailable
from jobs.record import LIVE_STATES
from jobs.results import Results

JOB, OTHER, FIRST, SECOND = "0" * 32, "1" * 32, "a" * 32, "b" * 32


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


def add(results, holder, *names, job=JOB):
    with results.begun(job, holder) as file:
        for name in names:
            file.add({"file": name})


def names(results, job=JOB):
    return [row["file"] for row in results.rows(job)]


def test_an_attempt_goes_on_from_what_the_one_before_it_wrote_whole(results):
    add(results, FIRST, "1", "2")
    with (results.root / f"{JOB}.{FIRST}.jsonl").open("a") as file:
        file.write('{"file": "3')  # as a process that was killed leaves it
    with results.begun(JOB, SECOND) as file:
        assert file.num_rows == 2
        file.add({"file": "3ä"})
    add(results, FIRST, "others")  # an attempt that was taken for dead writes into its own
    results.finish(JOB, SECOND)
    assert names(results) == ["1", "2", "3ä"]
    assert [path.name for path in results.root.iterdir()] == [f"{JOB}.jsonl"]


@pytest.mark.parametrize("job", [JOB, "../keys", "", JOB + "x"])
def test_a_job_without_results_has_none(results, job):
    with pytest.raises(ResultsNotFound):
        results.rows(job)


def test_results_are_swept_with_their_jobs_record(results):
    add(results, FIRST, "1")
    results.finish(JOB, FIRST)
    add(results, SECOND, "1", job=OTHER)

    def sweep(states):
        return results.sweep(lambda ids: {job: states[job] for job in ids if job in states}, live_states=LIVE_STATES)

    assert sweep({JOB: "succeeded", OTHER: "running"}) == []
    assert sweep({JOB: "succeeded", OTHER: "cancelled"}) == [OTHER]
    assert sweep({}) == [JOB] and not list(results.root.iterdir())
    assert results.sweep(lambda ids: {}, live_states=LIVE_STATES) == []


def test_a_disk_that_fails_is_named(results):
    results.root.write_text("no directory")
    with pytest.raises(StagingUnavailable):
        add(results, FIRST, "1")
