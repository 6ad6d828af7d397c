import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from service.http import open_files
open_files.WANTED = wanted
print(open_files.raise_open_files(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "now"), [(256, 512, 65_536, 512), (256, 512, 300, 300), (400, 512, 300, 400)]
)
def test_the_limit_is_raised_as_far_as_it_goes_and_never_lowered(soft, hard, wanted, now):
    limits = [str(number) for number in (soft, hard, wanted)]
    run = subprocess.run([sys.executable, "-c", PROGRAM, *limits], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(now), str(now), str(hard)]
