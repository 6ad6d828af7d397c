"""What the command ends with, in one place: whatever goes wrong within becomes a sentence and a status."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from earshot_client.command.terminal import complain
from earshot_client.errors import EarshotError, Unreachable

REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130


class Commands(TyperGroup):
    """The commands, none of which shows a traceback for what a user can put right."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except Unreachable as error:
            complain(f"{error.detail}\nIs it running? Another address is given by --url or EARSHOT_URL.")
            raise typer.Exit(UNREACHABLE) from None
        except EarshotError as error:
            complain(f"{error.code}: {error.detail}")
            raise typer.Exit(REFUSED) from None
        except BrokenPipeError:  # whoever read the output has seen enough
            raise typer.Exit(0) from None
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            raise typer.Exit(USAGE) from None
        except ValueError as error:
            complain(str(error))
            raise typer.Exit(USAGE) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
