"""The command `earshot`, which stands on the client and on typer and rich."""
