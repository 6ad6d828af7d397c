"""`python -m worker`: train adapters for every tenant until told to stop."""

import argparse
import sys
import time
from collections.abc import Sequence

import structlog
from redis import Redis
from redis.exceptions import RedisError

from adapters_store import StoreError, check_tenant
from jobs import logging
from jobs.connection import connect
from jobs.errors import JobsError
from jobs.settings import describe
from worker.job_worker import JobWorker, RqUnknown, Shutdown
from worker.publication import open_writable
from worker.runner_process import RUNNER_COMMAND, RunnerDied, RunnerProcess
from worker.settings import WorkerSettings

# With pauses of at most a second: as long as a Redis needs to restart, and less than a job's heartbeat lives.
REDIS_RETRIES = 12
RESTART_S = 1.0
READY_TIMEOUT_S = 600.0

log = structlog.get_logger()


def main(runner_command: Sequence[str] = RUNNER_COMMAND) -> int:
    """Parse the arguments, load the model, take jobs; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Does jobs: takes them from Redis, any number of workers beside each other.",
        epilog="settings, by environment:\n" + describe(WorkerSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command")
    rebase = commands.add_parser("rebase", help="fit every adapter on another base model, while this one serves")
    rebase.add_argument("--model", required=True, help="what EARSHOT_MODEL will be")
    rebase.add_argument("--tenant", action="append", default=[], help="of this tenant alone; may be repeated")
    arguments = parser.parse_args()
    settings = WorkerSettings.read()
    logging.set_up(level=settings.log_level, format=settings.log_format)
    if arguments.command == "rebase":
        return _rebase(settings, arguments)
    runner = RunnerProcess(runner_command)
    try:
        return _serve(settings, runner)
    finally:
        runner.kill()


def _rebase(settings: WorkerSettings, arguments: argparse.Namespace) -> int:
    # These bring torch, which a worker's own process must not.
    from worker import rebase
    from worker.clap_trainer import ClapTrainer

    try:
        fitter = ClapTrainer.load(settings.model_copy(update={"model": arguments.model}))
        store = open_writable(settings.store_url_or_local, settings.publish_timeout_s)
        return rebase.run(store, fitter, [check_tenant(tenant) for tenant in arguments.tenant])
    except (StoreError, JobsError) as error:
        print(f"earshot: {error}", file=sys.stderr)
        return 1


def _serve(settings: WorkerSettings, runner: RunnerProcess) -> int:
    runner.start()
    if not _is_ready(runner):
        return 1
    shutdown = Shutdown()
    shutdown.install()
    redis = connect(settings.redis_url_or_private, num_retries=REDIS_RETRIES)
    while not shutdown.is_requested:
        try:
            _take_jobs(redis, settings, runner, shutdown)
        except RqUnknown as error:
            log.error(str(error))
            return 1
    log.info("worker stopped")
    return 0


def _take_jobs(redis: Redis, settings: WorkerSettings, runner: RunnerProcess, shutdown: Shutdown) -> None:
    try:
        worker = JobWorker(redis, settings, runner, shutdown)
        log.info("worker ready", worker=worker.name, runner_pid=runner.pid)
        worker.serve()
    except RedisError as error:
        log.warning("redis does not answer", error=type(error).__name__)
    if not shutdown.is_requested:
        # RQ ends its loop on errors that it does not expect, such as a Redis that is away for long.
        log.warning("the worker starts over")
        time.sleep(RESTART_S)


def _is_ready(runner: RunnerProcess) -> bool:
    try:
        message = runner.receive(timeout_s=READY_TIMEOUT_S)
    except RunnerDied as error:
        log.error("the runner did not start", exit_code=error.exit_code)
        return False
    if message is None or message["event"] != "ready":
        reason = message or {"code": "timeout", "detail": f"not ready within {READY_TIMEOUT_S:g} seconds"}
        log.error("the runner did not start", code=reason["code"], detail=reason["detail"])
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
