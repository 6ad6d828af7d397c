"""`python -m worker` whose runner is forked by `benchmarks.faults.fork_server`, and so is there at once.

With the descriptor of a channel it is the runner's stand-in: it hands the channel on and ends as the runner does.
"""

import os
import signal
import sys
from pathlib import Path

from benchmarks.faults.fork_server import ask


def stand_in(descriptor: int) -> None:
    """Wait for the runner's end, and die as it did."""
    connection = ask(Path(os.environ["EARSHOT_DATA_DIR"]), "runner", descriptor)
    os.close(descriptor)
    connection.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        stand_in(int(sys.argv[1]))
    else:
        from worker.__main__ import main

        sys.exit(main([sys.executable, "-m", "benchmarks.faults.forked_worker"]))
