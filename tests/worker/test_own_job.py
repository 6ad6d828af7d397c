"""Whoever can write Redis can queue jobs, and run nothing of his own by that."""

import pytest
from rq import Callback, Queue, Retry
from rq.job import Job

from jobs.queue import QUEUE_NAME
from tests.worker import foreign
from tests.worker.processes import wait_for_end, wait_until


@pytest.mark.parametrize("callbacks", [(), ("on_success", "on_failure", "on_stopped")], ids=["function", "callbacks"])
def test_nothing_but_our_own_function_is_called(workers, submit, queue, redis, tmp_path, callbacks):
    mark = tmp_path / "mark"
    rq_queue = Queue(QUEUE_NAME, connection=redis, serializer="json")
    hooks = {name: Callback("tests.worker.foreign.touch_for") for name in callbacks}
    options = {"meta": {"path": str(mark)}, **hooks}
    foreigner = rq_queue.enqueue("tests.worker.foreign.touch", str(mark), retry=Retry(max=1), **options)
    rq_queue.enqueue("worker.job.run", "0" * 32, job_id="0" * 32, **options)  # ours, but for its callbacks
    workers()
    assert wait_for_end(queue, submit()).state == "succeeded"
    wait_until(lambda: not redis.llen(f"rq:queue:{QUEUE_NAME}"))
    wait_until(lambda: Job.fetch(foreigner.id, connection=redis, serializer="json").get_status() == "failed")
    assert not mark.exists()
    foreign.touch(str(mark))
    assert mark.exists()
