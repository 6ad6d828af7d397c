"""The command `earshot`, or `python -m earshot_client`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run it; without what the extra `cli` brings, say so and exit with status 2."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError as error:
        print(f"earshot: {error.name} is not installed: pip install 'earshot-client[cli]'", file=sys.stderr)
        sys.exit(2)
    from earshot_client.command.app import app

    app(prog_name="earshot")


if __name__ == "__main__":
    main()
