"""Exit with 0 if this container does its work: `healthcheck.py service`, or `healthcheck.py worker`."""

import os
import socket
import sys
import urllib.request

TIMEOUT_S = 7.0


def service_is_ready() -> bool:
    """The API answers `/readyz`: a forward pass has run lately, and Redis answers."""
    url = f"http://127.0.0.1:{os.environ.get('EARSHOT_PORT', '8000')}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return answer.status == 200
    except OSError:
        return False


def worker_is_registered() -> bool:
    """A worker of this host is registered in Redis, where its entry ends a minute after its last heartbeat."""
    from redis import Redis
    from redis.exceptions import RedisError

    redis = Redis.from_url(
        os.environ.get("EARSHOT_REDIS_URL") or os.environ["REDIS_URL"], socket_timeout=TIMEOUT_S, decode_responses=True
    )
    try:
        hosts = {redis.hget(key, "hostname") for key in redis.smembers("rq:workers:earshot")}
    except RedisError:
        return False
    return socket.gethostname() in hosts


if __name__ == "__main__":
    is_healthy = worker_is_registered() if sys.argv[1:] == ["worker"] else service_is_ready()
    sys.exit(0 if is_healthy else 1)
