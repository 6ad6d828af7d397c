"""What each of many tenants gets in a crowd is what it gets alone, on whichever replica."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import numpy as np
import pytest

from tests.e2e.sounds import clips

NUM_TENANTS, NUM_ADAPTERS, NUM_CLIENTS = 8, 2, 32


@pytest.fixture(scope="module")
def clients(replicas):
    """For each replica a client of each tenant."""
    with ExitStack() as opened:
        yield [
            {name: opened.enter_context(open_client(api.address, key)) for name, key in replicas.keys.items()}
            for api in replicas.apis
        ]


def open_client(address, key):
    return httpx2.Client(base_url=address, headers={"X-API-Key": key}, timeout=60)


def test_32_clients_with_16_adapters_of_8_tenants(clients, make_file):
    here, _ = clients
    for number, client in enumerate(here.values()):
        for adapter in range(NUM_ADAPTERS):
            labels = [f"sound {number}-{adapter}-{label}" for label in range(3)]
            file = make_file(labels, seed=NUM_ADAPTERS * number + adapter)
            assert client.post(f"/adapters/a{adapter}/file", content=file).status_code == 201
    recordings = clips("rooster") + clips("rain")
    questions = [
        (list(here)[number % NUM_TENANTS], f"a{number // NUM_TENANTS % NUM_ADAPTERS}", recordings[number % 5])
        for number in range(NUM_CLIENTS)
    ]

    def ask(question):
        tenant, adapter, recording = question
        answer = here[tenant].post("/classify", files=[("audio", recording)], data={"adapter": adapter}).json()
        return {score["label"]: score["score"] for score in answer["results"][0]["scores"]}

    alone = [ask(question) for question in questions]
    with ThreadPoolExecutor(NUM_CLIENTS) as crowd:
        together = list(crowd.map(ask, questions))
    for (tenant, adapter, _), one, crowded in zip(questions, alone, together, strict=True):
        assert one.keys() == crowded.keys()
        assert all(label.startswith(f"sound {tenant[-1]}-{adapter[1]}-") for label in one)
        np.testing.assert_allclose([crowded[label] for label in one], list(one.values()), atol=1e-4)
    assert len({tuple(scores.values()) for scores in alone}) > NUM_ADAPTERS  # the adapters do differ


def test_what_one_replica_publishes_the_other_uses_at_once(clients, make_file):
    here, there = (tenants["tenant-0"] for tenants in clients)
    question = {"files": [("audio", clips("rain")[0])], "data": {"adapter": "shared"}}
    for version in (1, 2):
        file = make_file([f"v{version}-a", f"v{version}-b"], seed=version)
        assert here.post("/adapters/shared/file", content=file).status_code == 201
        assert there.post("/classify", **question).json()["adapter"]["version"] == version
    here.put("/adapters/shared/current", json={"version": 1})
    assert there.post("/classify", **question).json()["adapter"]["version"] == 1
