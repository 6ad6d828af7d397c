"""One stack for all tests that leave it as they found it; those that break something have a stack of their own."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aspl import Adapter, AudioPrompts, FrozenClap
from service.keys import KeyFile
from tests.e2e.stack import ROOT, Stack
from tests.small_clap import write_small_clap

BUNDLED = ROOT / "models" / "tiny-clap"


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The bundled CLAP; a random one in a checkout that has none."""
    return BUNDLED if BUNDLED.exists() else write_small_clap(tmp_path_factory.mktemp("model") / "small-clap")


@pytest.fixture(scope="session")
def clap(model):
    torch.set_num_threads(1)
    return FrozenClap.load(model)


@pytest.fixture(scope="session")
def open_stack(model):
    """Make stacks that end with the session."""
    stacks = []
    with tempfile.TemporaryDirectory(prefix="earshot-e2e-", ignore_cleanup_errors=True) as directory:

        def open_one(**settings):
            stacks.append(Stack(Path(tempfile.mkdtemp(dir=directory)), model, **settings))
            return stacks[-1]

        yield open_one
        for stack in stacks:
            stack.stop()


@pytest.fixture(scope="session")
def stack(open_stack):
    """A worker and an API, ready."""
    stack = open_stack(requests_per_s=0)
    stack.start_worker()
    stack.wait_until_ready(stack.start_api())
    return stack


@pytest.fixture(scope="session")
def replicas(open_stack):
    """Two APIs on one store, with keys for eight tenants and without a worker."""
    stack = open_stack(requests_per_s=1e4, request_burst=10_000, drain_s=60)  # rates never reached, but counted
    keys = KeyFile(stack.directory / "keys.json")
    stack.keys = {f"tenant-{number}": keys.add(f"tenant-{number}") for number in range(8)}
    for api in (stack.start_api(), stack.start_api()):
        stack.wait_until_ready(api)
    return stack


@pytest.fixture(scope="session")
def make_file(clap):
    """Adapter files with audio prompts that differ by seed, as training would leave them."""

    def make(labels: list[str], seed: int) -> bytes:
        generator = torch.Generator().manual_seed(seed)
        prompts = AudioPrompts.identity(clap, kind="aspl_star")
        for affine in prompts.stages().values():
            affine.gamma.data += 0.1 * torch.randn(affine.gamma.shape, generator=generator)
            affine.beta.data += 0.1 * torch.randn(affine.beta.shape, generator=generator)
        adapter = replace(Adapter.zero_shot(clap, labels), prompts=prompts, audio_prompt="aspl_star")
        return adapter.to_bytes()

    return make
