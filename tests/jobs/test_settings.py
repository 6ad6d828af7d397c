import os

import pytest
from pydantic import ValidationError

from jobs.limits import UploadLimits
from jobs.settings import Settings, describe
from jobs.variables import ELSEWHERE, SERVICE_SETTINGS, WORKER_SETTINGS
from service.settings import ServiceSettings
from worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in os.environ:
        if name.startswith("EARSHOT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def said(monkeypatch, capsys):
    """What a process says of variables, and the status with which it ends; None where it goes on."""

    def said(variables, settings_type=WorkerSettings, **others):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        status = None
        try:
            settings_type.read(**others)
        except SystemExit as end:
            status = end.code
        return status, capsys.readouterr().err.splitlines()

    return said


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


def test_the_limits_of_an_upload_are_declared_once():
    assert Settings().upload_limits == UploadLimits()
    assert Settings(max_clips=7).upload_limits == UploadLimits(max_clips=7)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DTYPE", "bf16", "it must be 'auto', 'float32' or 'bfloat16'; did you mean bfloat16?"),
        ("DTYPE", "FP32", "it must be 'auto', 'float32' or 'bfloat16'; did you mean float32?"),
        ("DTYPE", "int8", "it must be 'auto', 'float32' or 'bfloat16'"),
        ("LOG_LEVEL", "loud", "it must be 'debug', 'info', 'warning', 'error' or 'critical'"),
        (
            "LOG_LEVEL",
            "wraning",
            "it must be 'debug', 'info', 'warning', 'error' or 'critical'; did you mean warning?",
        ),
        ("LOG_FORMAT", "xml", "it must be 'auto', 'json' or 'console'"),
        ("DEVICE", "gpu", "it must be auto, cpu, cuda or cuda:N, such as cuda:0; did you mean cuda?"),
        ("DEVICE", "cuda:", "it must be auto, cpu, cuda or cuda:N, such as cuda:0"),
        ("MAX_CLIPS", "-1", "it must be greater than 0"),
        ("MAX_CLIPS", "many", "it must be a valid integer"),
    ],
)
def test_what_cannot_be_used_ends_the_process_with_a_sentence(said, name, value, sentence):
    assert said({f"EARSHOT_{name}": value}) == (2, [f"earshot: EARSHOT_{name} is {value!r}: {sentence}"])


def test_all_that_cannot_be_used_is_said_at_once(said):
    status, sentences = said({"EARSHOT_DTYPE": "bf16", "EARSHOT_MAX_CLIPS": "0", "EARSHOT_PROT": "9"})
    assert status == 2
    assert [sentence.split()[1] for sentence in sentences] == ["EARSHOT_PROT", "EARSHOT_MAX_CLIPS", "EARSHOT_DTYPE"]


def test_settings_of_processes_beside_it_are_checked_too(said):
    status, sentences = said(
        {"EARSHOT_PORT": "many", "EARSHOT_HEARTBEAT_S": "0", "EARSHOT_DTYPE": "bf16"},
        ServiceSettings,
        beside=[WorkerSettings],
    )
    assert status == 2
    assert sorted(line.split()[1] for line in sentences) == ["EARSHOT_DTYPE", "EARSHOT_HEARTBEAT_S", "EARSHOT_PORT"]


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices(device):
    assert Settings(device=device).device == device


@pytest.mark.parametrize(
    ("value", "level"), [("info", "info"), ("INFO", "info"), ("Warn", "warning"), ("FATAL", "critical")]
)
def test_log_levels_in_any_case_and_by_python_s_second_names(monkeypatch, value, level):
    monkeypatch.setenv("EARSHOT_LOG_LEVEL", value)
    assert Settings().log_level == level


@pytest.mark.parametrize(
    ("settings_type", "inner", "outer"),
    [(kind, *pair) for kind in (WorkerSettings, ServiceSettings) for pair in kind.WITHIN],
)
def test_a_limit_above_the_one_around_it_does_not_start(settings_type, inner, outer):
    limit = 5
    assert settings_type(**{inner: limit, outer: limit} | dict.fromkeys(around(settings_type, outer), limit))
    with pytest.raises(ValidationError, match=f"EARSHOT_{inner.upper()} is 6, which is more than"):
        settings_type(**{inner: limit + 1, outer: limit})


def around(settings_type, inner):
    return [outer for first, outer in settings_type.WITHIN if first == inner]


def test_a_default_above_a_limit_that_was_lowered_starts():
    assert Settings(queue_limit=5).tenant_queue_limit > 5


@pytest.mark.parametrize(
    "values", [{"heartbeat_s": 30}, {"heartbeat_ttl_s": 5}, {"heartbeat_s": 3, "heartbeat_ttl_s": 2}]
)
def test_a_heartbeat_must_come_before_its_holder_counts_as_dead(values):
    with pytest.raises(ValidationError, match="dead between two heartbeats"):
        WorkerSettings(**values)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("EARSHOT_PROT", "; did you mean EARSHOT_PORT?"),
        ("EARSHOT_MAX_CLIP", "; did you mean EARSHOT_MAX_CLIPS?"),
        ("earshot_heartbeats", "; did you mean EARSHOT_HEARTBEAT_S?"),
        ("EARSHOT_XYZ", ""),
    ],
)
def test_a_variable_that_is_no_setting_is_warned_of(said, name, near):
    assert said({name: "9"}) == (None, [f"earshot: {name} is no setting and is ignored{near}"])


def test_variables_of_other_processes_are_known(said):
    others = {*SERVICE_SETTINGS, *WORKER_SETTINGS, *ELSEWHERE} - set(WorkerSettings.model_fields)
    assert said({f"EARSHOT_{name.upper()}": "1" for name in others}) == (None, [])


def test_the_names_of_other_processes_settings_are_theirs():
    shared = Settings.model_fields.keys()
    assert ServiceSettings.model_fields.keys() - shared == SERVICE_SETTINGS
    assert WorkerSettings.model_fields.keys() - shared == WORKER_SETTINGS


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
