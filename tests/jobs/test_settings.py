import pytest
from pydantic import ValidationError

from jobs.settings import Settings, WorkerSettings, describe


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("EARSHOT_MAX_CLIPS", "7")
    monkeypatch.setenv("EARSHOT_DATA_DIR", "/somewhere")
    settings = Settings()
    assert settings.max_clips == 7
    assert settings.store_url_or_local == "/somewhere/adapters"
    assert settings.redis_url_or_private == "unix:///somewhere/redis.sock"


@pytest.mark.parametrize("variable", ["EARSHOT_REDIS_URL", "REDIS_URL"])
def test_redis_url_has_two_names(monkeypatch, variable):
    monkeypatch.setenv(variable, "redis://elsewhere")
    assert Settings().redis_url_or_private == "redis://elsewhere"


def test_nonsense_is_refused(monkeypatch):
    monkeypatch.setenv("EARSHOT_MAX_CLIPS", "-1")
    with pytest.raises(ValidationError):
        Settings()


def test_a_dead_workers_job_is_taken_up_within_two_minutes():
    settings = WorkerSettings()
    # Silence, then at worst two waits for a job between two searches.
    assert settings.heartbeat_ttl_s + 2 * settings.maintenance_interval_s < 120
    assert settings.heartbeat_s < settings.heartbeat_ttl_s / 3


def test_every_setting_is_described():
    text = describe(WorkerSettings)
    for name in WorkerSettings.model_fields:
        assert f"EARSHOT_{name.upper()}" in text
    assert all(field.description for field in WorkerSettings.model_fields.values())
