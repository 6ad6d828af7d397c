"""What tenants have under way: bounded for each, with room for the others, and given back whatever happens."""

import io
import threading
from contextlib import suppress

import numpy as np
import pytest
import soundfile

from aspl.sound.clip import num_windows, windows
from service.bounds import bounds
from service.inference import decoding
from service.inference.account import Accounts, Bound, Limit, Resource
from service.inference.errors import InferenceError, TenantOverloaded
from service.settings import ServiceSettings
from tests.service.sounds import RATE_HZ

LABELS = {"labels": ["dog", "cat"]}
WINDOWS = Resource.WINDOWS


@pytest.fixture
def accounts():
    limits = [Limit(amount, (name, amount)) for name, amount in (("most", 12), ("share", 9), ("request", 6))]
    return Accounts({WINDOWS: Bound(*limits)})


def refusal(charge, amount):
    with pytest.raises(InferenceError) as refused:
        charge.take(WINDOWS, amount)
    return refused.value.code, refused.value.limit


def test_requests_tenants_and_all_are_bounded_and_an_end_makes_room(accounts):
    with accounts.open("acme") as first, accounts.open("acme") as second, accounts.open("other") as third:
        first.take(WINDOWS, 6)
        assert refusal(first, 1) == ("too_many_windows", ("request", 6))
        second.take(WINDOWS, 3)
        assert refusal(second, 1) == ("tenant_overloaded", ("share", 9))
        third.take(WINDOWS, 3)
        assert refusal(third, 1) == ("overloaded", ("most", 12))
    assert accounts.held(WINDOWS) == 0
    with accounts.open("acme") as charge:
        charge.take(WINDOWS, 6)


def test_however_many_are_busy_there_is_room_for_the_next(accounts):
    """Each takes one after the other for as long as it gets any; a newcomer still gets some."""
    accounts = Accounts(bounds(ServiceSettings()))
    tenants = [f"busy-{number}" for number in range(5)]
    for _ in range(512):
        for tenant in tenants:
            with suppress(TenantOverloaded):
                accounts.take(tenant, WINDOWS, 1)
    held = [accounts.held(WINDOWS, tenant) for tenant in tenants]
    assert max(held) - min(held) <= 1 and sum(held) > 0.9 * 512
    with accounts.open("new") as charge:
        charge.take(WINDOWS, 25)


def test_what_is_taken_after_the_end_is_not_held(accounts):
    with accounts.open("acme") as charge:
        charge.take(WINDOWS, 2)
    charge.take(WINDOWS, 3)  # a thread that did not hear of the end
    assert accounts.held(WINDOWS) == 0


def test_many_threads_count_right(accounts):
    def work():
        for _ in range(300):
            with accounts.open("acme") as charge:
                charge.has_taken(WINDOWS, 2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert accounts.held(WINDOWS) == 0


def test_a_largest_request_fits_every_share():
    settings = ServiceSettings()
    for resource, bound in bounds(settings).items():
        assert bound.tenant.amount <= bound.all.amount, resource
    body = bounds(settings)[Resource.BODY_BYTES]
    assert body.tenant.amount >= settings.max_upload_bytes
    small = bounds(settings.model_copy(update={"max_body_bytes": 1000, "max_upload_bytes": 900, "tenant_share": 0.1}))
    assert small[Resource.BODY_BYTES].tenant.amount == 1000


def silence(duration_s):
    """A FLAC file, many thousand times smaller than what it decodes to."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(duration_s * RATE_HZ), np.float32), RATE_HZ, format="FLAC")
    return file.getvalue()


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"max_request_windows": 12})


def test_what_a_request_may_not_have_is_not_even_cut(client, context, monkeypatch):
    cut = []
    monkeypatch.setattr(
        decoding, "windows", lambda waveform: cut.append(num_windows(len(waveform))) or windows(waveform)
    )
    files = [("audio", (f"{number}.flac", silence(50))) for number in range(4)]  # 9 windows each
    answer = client.post("/classify", files=files, data=LABELS)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_windows")
    assert cut == [9]
    assert client.post("/classify", files=files[:1], data=LABELS).status_code == 200
    assert all(context.accounts.held(resource) == 0 for resource in Resource)


@pytest.mark.parametrize("num_samples", [1, 480_000, 480_001, 720_000, 720_001, 28_800_000])
def test_windows_are_counted_as_they_are_cut(num_samples):
    assert num_windows(num_samples) == len(windows(np.zeros(num_samples, np.float32))[1])
