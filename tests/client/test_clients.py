"""Both clients have the same calls with the same arguments, each explained."""

import inspect

import pytest
from earshot_client import AsyncClient, Client

CALLS = [name for name, value in vars(Client).items() if inspect.isfunction(value) and not name.startswith("_")]
CLOSING = {"close": "aclose"}


@pytest.mark.parametrize("name", CALLS)
def test_the_same_call_in_both(name):
    ours, theirs = getattr(Client, name), getattr(AsyncClient, CLOSING.get(name, name))
    parameters = [
        [(each.name, each.kind, each.default) for each in inspect.signature(f).parameters.values()]
        for f in (ours, theirs)
    ]
    assert parameters[0] == parameters[1]
    assert ours.__doc__.splitlines()[0] == theirs.__doc__.splitlines()[0]
    assert inspect.iscoroutinefunction(theirs) or inspect.isasyncgenfunction(theirs)


def test_neither_has_more():
    names = {CLOSING.get(name, name) for name in CALLS}
    assert names == {name for name, value in vars(AsyncClient).items() if inspect.isfunction(value) and name[0] != "_"}
