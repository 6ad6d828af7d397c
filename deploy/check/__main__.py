"""`python -m deploy.check`: build the image and put the stack to the test. Any fault ends it with a message and 1."""

import argparse
import os
import signal
import sys

from deploy.check import buildah_stack, checks, compose_stack
from deploy.check.buildah_stack import BuildahStack
from deploy.check.checks import Stack, say
from deploy.check.compose_stack import ComposeStack

IMAGE = "earshot:0.3.0"


def main() -> int:
    """Parse the arguments, run every check, say what was seen."""
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description=__doc__)
    parser.add_argument("--no-build", action="store_true", help="check the image that is there")
    parser.add_argument("--image", default=IMAGE)
    arguments = parser.parse_args()
    # A check that is ended must not leave a stack behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stack = stack_of(arguments.image)
    say(f"by {type(stack).__name__}")
    try:
        if not arguments.no_build:
            stack.build()
        say(f"the image weighs {stack.size_bytes() / 2**20:.0f} MiB")
        checks.check_stack(stack)
    except BaseException:
        for name in checks.NAMES:
            say(f"---- {name}\n{stack.log(name)[-4000:]}")
        raise
    finally:
        stack.down()
    say("image-check passed")
    return 0


def stack_of(image: str) -> Stack:
    """The stack by what this machine has; ends with one line that says what to install, where that is not enough."""
    if compose_stack.is_available():
        return ComposeStack(image)
    missing = buildah_stack.missing_tools()
    if missing:
        raise SystemExit(
            "image-check needs Docker with compose; or else, on Debian or Ubuntu, "
            f"`apt-get install buildah crun debootstrap redis-server` ({', '.join(missing)}: not found)"
        )
    if os.geteuid() != 0:
        raise SystemExit("image-check needs Docker with compose; or else root, for buildah and crun")
    return BuildahStack(image)


if __name__ == "__main__":
    sys.exit(main())
