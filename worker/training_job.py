"""The name under which jobs of kind `adapt` lie in Redis: releases before 0.3 queue them, and run them, under it."""

from worker.job import run

__all__ = ["run"]
