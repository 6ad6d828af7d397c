import importlib.util
import signal
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.connection import connect, private_socket, private_url
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


def test_a_short_socket_lies_where_nobody_else_can_put_one(tmp_path):
    data_dir = tmp_path / ("d" * 150)
    with ThreadPoolExecutor(8) as processes:
        (socket,) = {private_socket(data_dir) for _ in processes.map(lambda _: private_socket(data_dir), range(8))}
    directory = socket.parent
    assert directory.stat().st_mode & 0o777 == 0o700
    assert str(zlib.crc32(str(data_dir / "redis.sock").encode())) not in str(socket)
    directory.chmod(0o777)  # anybody's
    other = private_socket(data_dir).parent
    assert other != directory and other.stat().st_mode & 0o777 == 0o700
    other.rmdir()
    assert private_socket(data_dir).parent not in (directory, other)  # as after a boot that empties /tmp


def test_without_any_server_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(private_redis.PrivateRedisFailed, match="no redis-server or valkey-server is on PATH: install"):
        private_redis.start(tmp_path)
