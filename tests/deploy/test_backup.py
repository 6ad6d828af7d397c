import subprocess
import threading

import pytest

from adapters_store import open_store
from deploy.check.checks import backup_commands, section

DATA = b"x" * 40_000
MIN_COPIES = 10


def run(command: list[str], root, **flags) -> subprocess.CompletedProcess:
    """A command of the page, with another directory in the place of the container's root."""
    assert command[1:3] == ["-C", "/"]
    return subprocess.run([command[0], "-C", str(root), *command[3:]], capture_output=True, **flags)


@pytest.fixture
def lost_and_restored(tmp_path):
    """Copies of a store that are taken by the page's command while adapters are published, each restored elsewhere."""
    running, restored = tmp_path / "running", []
    (running / "keys").mkdir(parents=True)
    (running / "keys/keys.json").write_text("{}")
    store = open_store(str(running / "adapters"))
    store.publish("acme", "first", DATA, {"labels": ["a"]})
    is_over, published = threading.Event(), []

    def publish():
        while not is_over.is_set():
            published.append(store.publish("acme", f"adapter-{len(published) % 3}", DATA, {"labels": ["a"]}))

    writer = threading.Thread(target=publish)
    writer.start()
    back_up, restore = backup_commands()
    try:
        while len(restored) < MIN_COPIES or len(published) < 10 * MIN_COPIES:
            copy = run(back_up, running)
            # 1: a directory grew meanwhile, which is no loss.
            assert copy.returncode in (0, 1), copy.stderr
            place = tmp_path / f"restored-{len(restored)}"
            place.mkdir()
            assert run(restore, place, input=copy.stdout).returncode == 0
            restored.append(place)
    finally:
        is_over.set()
        writer.join()
    return restored


def test_a_copy_of_a_running_store_is_whole(lost_and_restored):
    num_read = 0
    for place in lost_and_restored:
        store = open_store(str(place / "adapters"))
        names, _ = store.names("acme")
        assert "first" in names
        for name in names:
            for reference in [name, *(f"{name}@{version}" for version in store.versions("acme", name))]:
                assert store.read(store.resolve("acme", reference)) == DATA
                num_read += 1
        assert (place / "keys/keys.json").read_text() == "{}"
    assert num_read > 2 * len(lost_and_restored)


def test_the_readme_and_the_operations_page_say_the_same():
    commands = {}
    for page, title in (("README.md", "Running it for real"), ("docs/operations.md", "Back up and restore")):
        lines = section(page, title).splitlines()
        commands[page] = [
            line for line in lines if line.startswith("docker compose run") and "--entrypoint tar" in line
        ]
    assert commands["README.md"] == commands["docs/operations.md"]
    assert len(commands["README.md"]) == 2
