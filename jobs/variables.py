"""The variables of the environment that are ours: their names, and plain sentences for what is wrong with one."""

import difflib
import re
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

PREFIX = "EARSHOT_"
OTHER_NAMES = frozenset({"REDIS_URL"})
# Each process reads its own settings and finds those of the others beside them.
SERVICE_SETTINGS = frozenset(
    [
        "allowed_hosts",
        "batch_windows",
        "body_idle_s",
        "cache_bytes",
        "cors_origins",
        "decode_threads",
        "drain_s",
        "host",
        "keys",
        "keys_path",
        "load_threads",
        "max_adapter_bytes",
        "max_body_bytes",
        "max_files",
        "max_held_windows",
        "max_request_bytes",
        "max_request_windows",
        "max_streams",
        "max_template_chars",
        "max_tenant_held_windows",
        "max_text_passes",
        "port",
        "queue_timeout_s",
        "ready_age_s",
        "request_burst",
        "requests_per_s",
        "root_path",
        "tenant_share",
        "trust_proxy",
        "upload_threads",
    ]
)
WORKER_SETTINGS = frozenset(
    [
        "cancel_grace_s",
        "heartbeat_s",
        "heartbeat_ttl_s",
        "maintenance_interval_s",
        "max_retries",
        "publish_timeout_s",
        "shutdown_grace_s",
        "trainer_nice",
    ]
)
# Those of docker-compose.yml and of the client.
ELSEWHERE = frozenset({"image", "gpu_image", "publish", "url", "api_key"})
# Settings of earlier releases, and what took their place.
RETIRED = {
    "max_queue_windows": "EARSHOT_MAX_HELD_WINDOWS counts the windows that wait, too",
    "max_tenant_queue_windows": "EARSHOT_MAX_TENANT_HELD_WINDOWS counts the windows that wait, too",
    "max_decoding": "EARSHOT_MAX_HELD_WINDOWS counts clips that wait to be decoded, too",
}
# What people write for a value that has another name here.
OTHER_WORDS = {
    "bf16": "bfloat16",
    "fp32": "float32",
    "f32": "float32",
    "single": "float32",
    "gpu": "cuda",
    "verbose": "debug",
    "trace": "debug",
    "text": "console",
    "plain": "console",
}


def variable(name: str) -> str:
    """The variable of a setting."""
    return PREFIX + name.upper()


def unknown(environment: Iterable[str], own_settings: Iterable[str]) -> dict[str, str | None]:
    """The variables that look like ours and are not, each with the name that was probably meant.

    Args:
        own_settings: the settings of this process, which need not be in the lists above.
    """
    known = {*own_settings, *SERVICE_SETTINGS, *WORKER_SETTINGS, *ELSEWHERE}
    meant = {}
    for name in sorted(environment):
        setting = name.upper().removeprefix(PREFIX).lower()
        if name.upper().startswith(PREFIX) and setting not in {*known, *RETIRED}:
            near = _nearest(setting, known)
            meant[name] = variable(near) if near else None
    return meant


def unknown_sentences(environment: Iterable[str], own_settings: Iterable[str]) -> list[str]:
    """One sentence for each variable that `unknown` finds, and for each that a former release knew."""
    names = list(environment)
    retired = {name: RETIRED.get(name.upper().removeprefix(PREFIX).lower()) for name in names if PREFIX in name.upper()}
    meant = unknown(names, own_settings)
    return [
        *(f"{name} is a setting no more and is ignored: {instead}" for name, instead in retired.items() if instead),
        *(f"{name} is no setting and is ignored{_did_you_mean(near)}" for name, near in meant.items()),
    ]


def fault_sentences(error: ValidationError) -> list[str]:
    """One sentence for each setting that cannot be used."""
    return [_fault_sentence(fault) for fault in error.errors()]


def _fault_sentence(fault: Mapping) -> str:
    message = (
        fault["msg"].removeprefix("Value error, ").replace("Input should be", "it must be").partition(", unable")[0]
    )
    if not fault["loc"]:
        return message
    name = str(fault["loc"][0])
    if name.upper() not in OTHER_NAMES and not name.upper().startswith(PREFIX):
        name = variable(name)
    value = str(fault["input"])
    return f"{name} is {value!r}: {message}{_did_you_mean(_meant(value.lower(), fault))}"


def _meant(value: str, fault: Mapping) -> str | None:
    other_word = OTHER_WORDS.get(value)
    if other_word and other_word in fault["msg"]:
        return other_word
    choices = fault["ctx"]["expected"] if fault["type"] == "literal_error" else ""  # as "'json' or 'console'"
    return _nearest(value, re.findall(r"'(.+?)'", choices))


def _nearest(text: str, choices: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(text, list(choices), n=1)), None)


def _did_you_mean(near: str | None) -> str:
    return f"; did you mean {near}?" if near else ""
