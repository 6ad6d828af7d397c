import httpx2
import pytest
from pydantic import ValidationError

from service.settings import ServiceSettings
from tests.service.sounds import tone

APP = "https://app.example.org"
PREFLIGHT = {
    "Origin": APP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, x-api-key, idempotency-key, last-event-id, content-type",
}
ALLOWED = "access-control-allow-origin"


@pytest.fixture
def origins():
    return (APP, "http://localhost:5173")


@pytest.fixture
def settings(settings, origins):
    return settings.model_copy(update={"cors_origins": origins})


def test_a_preflight_passes_without_a_key(address, context):
    context.keys.add("acme")
    for path in ("/classify", "/adapt", "/jobs/x/events", "/adapters/a"):
        answer = httpx2.options(f"{address}{path}", headers=PREFLIGHT)
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, APP)
        assert {"POST", "PUT", "DELETE", "HEAD"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        assert "credentials" not in str(answer.headers)


def test_a_page_may_read_what_it_needs(address):
    clips = [("clips", ("a.wav", tone(440))), ("clips", ("b.wav", tone(900)))]
    data = {"name": "animals", "labels": ["dog", "cat"]}
    answer = httpx2.post(f"{address}/adapt", files=clips, data=data, headers={"Origin": APP})
    assert (answer.status_code, answer.headers[ALLOWED]) == (202, APP)
    shown = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Location", "Retry-After", "X-Request-ID", "ETag"} <= set(shown)


def test_errors_are_readable_too(address, context):
    for path, status in (("/nowhere", 404), ("/jobs?limit=0", 422), ("/jobs/x", 404)):
        answer = httpx2.get(f"{address}{path}", headers={"Origin": APP})
        assert (answer.status_code, answer.headers[ALLOWED]) == (status, APP)
    context.settings.keys_path_or_default.write_text("no keys")
    answer = httpx2.get(f"{address}/jobs", headers={"Origin": APP})
    assert (answer.status_code, answer.headers[ALLOWED]) == (500, APP)
    context.settings.keys_path_or_default.unlink()
    context.keys.add("acme")
    answer = httpx2.get(f"{address}/jobs", headers={"Origin": APP})
    assert (answer.status_code, answer.headers[ALLOWED]) == (401, APP)


def test_other_origins_are_not_let_in(address):
    other = PREFLIGHT | {"Origin": "https://app.example.org.evil.example"}
    assert ALLOWED not in httpx2.options(f"{address}/classify", headers=other).headers
    assert ALLOWED not in httpx2.get(f"{address}/jobs", headers=other).headers


@pytest.mark.parametrize("origins", [("*",)])
def test_all_origins_by_a_star(address):
    assert httpx2.options(f"{address}/classify", headers=PREFLIGHT).headers[ALLOWED] == "*"
    assert httpx2.get(f"{address}/jobs", headers=PREFLIGHT).headers[ALLOWED] == "*"


@pytest.mark.parametrize("origins", [()])
def test_without_the_setting_there_is_none_of_it(address):
    preflight = httpx2.options(f"{address}/classify", headers=PREFLIGHT)
    assert preflight.status_code == 403
    for answer in (preflight, httpx2.get(f"{address}/jobs", headers=PREFLIGHT)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("given", "origins"),
    [("", ()), (APP, (APP,)), (f"{APP}, http://localhost:5173", (APP, "http://localhost:5173")), ("*", ("*",))],
)
def test_origins_are_read_from_the_environment(monkeypatch, given, origins):
    monkeypatch.setenv("EARSHOT_CORS_ORIGINS", given)
    assert ServiceSettings().cors_origins == origins


@pytest.mark.parametrize("given", ["app.example.org", f"{APP}/", f"{APP}/page", "https://APP.example.org", "null", "/"])
def test_what_is_no_origin_is_named(monkeypatch, given):
    monkeypatch.setenv("EARSHOT_CORS_ORIGINS", given)
    with pytest.raises(ValidationError, match="no origin"):
        ServiceSettings()
