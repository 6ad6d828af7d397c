import importlib.util
import signal

import pytest

from jobs.connection import connect, private_url
from local import private_redis


def test_what_was_written_survives_a_kill(tmp_path):
    process, url = private_redis.start(tmp_path)
    client = connect(url)
    try:
        client.config_set("appendfsync", "always")
        client.set("key", "value")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process, again = private_redis.start(tmp_path)
        assert again == url
        assert client.get("key") == b"value"
        with pytest.raises(private_redis.PrivateRedisFailed, match="already runs"):
            private_redis.start(tmp_path)
    finally:
        client.close()
        process.terminate()
        process.wait()


def test_deep_directories_get_a_short_socket(tmp_path):
    url = private_url(tmp_path / ("d" * 150))
    assert len(url) < 107
    assert url != private_url(tmp_path / ("e" * 150))


def test_without_any_server_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(private_redis.PrivateRedisFailed, match="no redis-server or valkey-server is on PATH: install"):
        private_redis.start(tmp_path)
