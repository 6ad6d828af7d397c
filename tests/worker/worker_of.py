"""`python -m worker` with a runner that is another Python program: the environment's EARSHOT_COMMAND."""

import os
import sys

from worker.__main__ import main

if __name__ == "__main__":
    sys.exit(main([sys.executable, "-c", os.environ.pop("EARSHOT_COMMAND")]))
