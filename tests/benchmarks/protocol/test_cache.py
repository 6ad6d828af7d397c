import numpy as np

from benchmarks.protocol.cache import DiskCache

ARRAY = np.arange(1000, dtype=np.float32)


def test_what_was_used_longest_ago_goes_first(tmp_path):
    cache = DiskCache(tmp_path, limit_bytes=10_000)  # two files of some 4,080 bytes
    cache.put("a", {"x": ARRAY})
    cache.put("b", {"x": ARRAY + 1})
    assert np.array_equal(cache.get("a")["x"], ARRAY)
    cache.put("c", {"x": ARRAY + 2})
    assert ("a" in cache, "b" in cache, "c" in cache) == (True, False, True)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == cache.size_bytes <= 10_000


def test_another_process_finds_it_and_keeps_to_its_own_bound(tmp_path):
    DiskCache(tmp_path, limit_bytes=10_000).put("a", {"x": ARRAY})
    assert np.array_equal(DiskCache(tmp_path, limit_bytes=10_000).get("a")["x"], ARRAY)
    assert DiskCache(tmp_path, limit_bytes=100).get("a") is None and not list(tmp_path.iterdir())


def test_damaged_and_too_large_files_count_as_none(tmp_path):
    cache = DiskCache(tmp_path, limit_bytes=5_000)
    cache.put("a", {"x": ARRAY})
    next(tmp_path.glob("a*")).write_bytes(b"not safetensors")
    assert cache.get("a") is None and cache.size_bytes == 0
    cache.put("b", {"x": np.zeros(10_000)})
    assert cache.get("b") is None
