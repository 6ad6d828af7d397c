import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from redis import Redis

from local import private_redis

SCRIPT = Path(__file__).parents[2] / "deploy/healthcheck.py"


def exit_code(kind: str, **environment: str) -> int:
    return subprocess.run([sys.executable, SCRIPT, kind], env=os.environ | environment, timeout=60).returncode


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_service(status, expected):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_):
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        assert exit_code("service", EARSHOT_PORT=str(server.server_port)) == expected


def test_service_that_does_not_listen():
    assert exit_code("service", EARSHOT_PORT="9") == 1


def test_worker(tmp_path):
    process, url = private_redis.start(tmp_path)
    try:
        redis = Redis.from_url(url)
        assert exit_code("worker", EARSHOT_REDIS_URL=url) == 1
        redis.sadd("rq:workers:earshot", "rq:worker:one")
        redis.hset("rq:worker:one", "hostname", "another host")
        assert exit_code("worker", EARSHOT_REDIS_URL=url) == 1
        redis.hset("rq:worker:one", "hostname", socket.gethostname())
        assert exit_code("worker", EARSHOT_REDIS_URL=url) == 0
        redis.close()
    finally:
        process.terminate()
        process.wait(timeout=10)
    assert exit_code("worker", EARSHOT_REDIS_URL=url) == 1
