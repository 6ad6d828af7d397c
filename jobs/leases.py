"""Which attempt at a job lives: a lease beside the job's record, which its holder renews and which ends by itself.

The record names the attempt that has the job, and the lease says that this attempt is alive, by Redis's clock alone.
RQ is not asked: it hands a job out again by its own bookkeeping, and whoever it is handed to looks here first.
"""

import json

from redis import Redis

from jobs.records import JobRecords, translated

# The record may have gone to another attempt while this one was stopped, with its lease run out.
RENEW = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Leases:
    """The leases of all jobs; every method raises RedisUnavailable.

    Args:
        ttl_s: how long one lives that is not renewed, in seconds.
    """

    def __init__(self, redis: Redis, *, ttl_s: float):
        self._redis = redis
        self._ttl_ms = int(1000 * ttl_s)
        self._renew = redis.register_script(RENEW)
        self._release = redis.register_script(RELEASE)

    def take(self, job_id: str, holder: str) -> bool:
        """Take a job's lease; False where another attempt's lives."""
        with translated():
            return bool(self._redis.set(self.key(job_id), holder, nx=True, px=self._ttl_ms))

    def renew(self, job_id: str, holder: str) -> bool:
        """Renew a lease, also one that ran out and that nobody took; False where the record names another attempt."""
        keys = [JobRecords.record_key(job_id), self.key(job_id)]
        with translated():
            return bool(self._renew(keys=keys, args=[json.dumps(holder), holder, self._ttl_ms]))

    def release(self, job_id: str, holder: str) -> None:
        """Give a lease back, if it is the holder's."""
        with translated():
            self._release(keys=[self.key(job_id)], args=[holder])

    def is_held(self, job_id: str) -> bool:
        """Whether an attempt at the job lives."""
        with translated():
            return bool(self._redis.exists(self.key(job_id)))

    @staticmethod
    def key(job_id: str) -> str:
        """The key that holds the lease."""
        return f"{JobRecords.record_key(job_id)}:lease"
