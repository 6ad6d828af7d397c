"""`python -m worker` with the stand-in for its trainer."""

import sys

from worker.__main__ import main

if __name__ == "__main__":
    sys.exit(main([sys.executable, "-m", "tests.worker.stand_in_trainer"]))
