"""`python -m service` serves; `… keys add|list|revoke TENANT` manages API keys, `… tenants erase TENANT` erases one."""

import argparse
import gc
import os
import socket
import sys
from collections.abc import Sequence

from adapters_store import NameInvalid, check_tenant
from jobs.allocator import keep_freed_memory
from jobs.settings import describe
from service.http import listener
from service.keys import KeyFile, KeysUnreadable
from service.settings import ServiceSettings

# The inference thread gives up the interpreter for every operation of the model and wants it back right after; with
# Python's own 5 ms the event loop and the decoders keep it waiting, and a busy service loses a fifth.
SWITCH_INTERVAL_S = 0.0003


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description=__doc__,
        epilog="Settings, read from the environment once:\n" + describe(ServiceSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Sockets that are bound already, from whoever started this process.
    parser.add_argument("--socket", dest="descriptors", type=int, action="append", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command")
    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    actions = keys.add_subparsers(dest="action", required=True)
    actions.add_parser("add", help="make a key for a tenant and print it, once").add_argument("tenant")
    actions.add_parser("list", help="show the keys' ids and tenants").add_argument("tenant", nargs="?")
    revoke = actions.add_parser("revoke", help="remove a tenant's keys")
    revoke.add_argument("tenant")
    revoke.add_argument("--id", help="only the key of this id")
    tenants = commands.add_parser("tenants", help="erase a tenant")
    erase = tenants.add_subparsers(dest="action", required=True).add_parser(
        "erase", help="remove a tenant's keys, adapters, clips, jobs, uploads and counters"
    )
    erase.add_argument("tenant")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    arguments = parser.parse_args()
    settings = ServiceSettings.read()
    try:
        if arguments.command == "keys":
            manage_keys(KeyFile(settings.keys_path_or_default), arguments)
        elif arguments.command == "tenants":
            erase_tenant(settings, check_tenant(arguments.tenant), is_sure=arguments.yes)
        else:
            serve(settings, arguments.descriptors)
    except (NameInvalid, KeysUnreadable, listener.AddressUnusable) as error:
        raise SystemExit(str(error)) from error


def manage_keys(keys: KeyFile, arguments: argparse.Namespace) -> None:
    """`keys add`, `keys list` and `keys revoke`."""
    if arguments.tenant is not None:
        check_tenant(arguments.tenant)
    if arguments.action == "add":
        print(keys.add(arguments.tenant))
    elif arguments.action == "list":
        for record in keys.records(arguments.tenant):
            print(f"{record.id}  {record.created_at}  {record.tenant}")
    else:
        print(f"{keys.revoke(arguments.tenant, arguments.id)} revoked")


def erase_tenant(settings: ServiceSettings, tenant: str, *, is_sure: bool) -> None:
    """`tenants erase`: show what there is, ask, remove it, and look again."""
    from adapters_store import StoreError, open_store
    from jobs.connection import connect
    from jobs.errors import JobsError
    from jobs.queue import JobQueue
    from service.erasure import Erasure, StillRunning

    try:
        queue = JobQueue(connect(settings.redis_url_or_private), settings)
        store = open_store(settings.store_url_or_local)
        erasure = Erasure(tenant, KeyFile(settings.keys_path_or_default), store, queue)
        print(f"Of tenant {tenant} there is:", *erasure.found().lines(), sep="\n")
        if not is_sure and input("Remove all of it for good? Type the tenant's name: ") != tenant:
            raise SystemExit("Nothing was removed.")
        removed = erasure.erase()
        if not erasure.found().is_empty:
            raise SystemExit("Something came while it was removed; run this again.")
    except EOFError as error:
        raise SystemExit("Nothing was removed: there is nobody to ask; say --yes.") from error
    except (StoreError, JobsError, StillRunning) as error:
        raise SystemExit(str(error)) from error
    print("Removed:", *removed.lines(), sep="\n")


def serve(settings: ServiceSettings, descriptors: Sequence[int] | None = None) -> None:
    """Load the model and answer until SIGTERM or Ctrl-C.

    Args:
        descriptors: sockets that are bound already; without any, the address of the settings is bound.

    Raises AddressUnusable.
    """
    if descriptors:
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    else:
        sockets = listener.bind(settings.host, settings.port)
    keep_freed_memory()
    # What is imported stays: to look through it for garbage again and again would take a quarter of the start.
    gc.disable()
    # Before torch is loaded: threads of OpenMP that wait for each other must not spin on the cores that decode.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from jobs import logging
    from service.context import Context
    from service.http.app import is_loopback
    from service.http.server import Server

    is_guarded = settings.keys == "required" or is_loopback(settings.host)
    if not is_guarded and not KeyFile(settings.keys_path_or_default).has_keys():
        raise SystemExit(
            f"Without API keys the service binds to a loopback address only, not to {settings.host}: "
            "make one with `python -m service keys add TENANT`."
        )
    logging.set_up(level=settings.log_level, format=settings.log_format)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    server = Server(Context.open(settings), sockets)
    gc.freeze()
    gc.enable()
    listener.listen(sockets)
    server.serve_until_ended()


if __name__ == "__main__":
    main()
