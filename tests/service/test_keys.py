"""The file of API keys when several processes change it at once."""

import subprocess
import sys

from service.keys import KeyFile

NUM_PROCESSES, NUM_KEYS = 2, 40
ADD = f"""
import sys
from pathlib import Path
from service.keys import KeyFile
keys = KeyFile(Path(sys.argv[1]))
print(flush=True)
sys.stdin.readline()
for _ in range({NUM_KEYS}):
    keys.add("acme")
"""


def test_processes_that_add_keys_at_once_lose_none(tmp_path):
    path = tmp_path / "keys.json"
    command = [sys.executable, "-c", ADD, str(path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(NUM_PROCESSES)
    ]
    for process in processes:
        process.stdout.readline()  # ready
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len({record.id for record in KeyFile(path).records()}) == NUM_PROCESSES * NUM_KEYS


def test_to_revoke_where_no_key_was_made_asks_for_none(tmp_path):
    keys = KeyFile(tmp_path / "keys.json")
    assert keys.revoke("acme") == 0 and not keys.path.exists()
