"""What an adapter's file says of itself in its header, checked in every field; knows nothing of torch's tensors."""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from aspl.errors import AdapterInvalid, AsplError
from aspl.known import KnownRule
from aspl.labels import MAX_LABELS
from aspl.methods import METHODS
from aspl.prompts.kinds import parse_kind
from aspl.report import Report

FORMAT = "earshot-adapter"
CHANNEL = "channel.beta"  # the tensor of it
FORMAT_VERSION = 5
# The first knows of no `known`, the first two of no curves, no channel and nothing in half precision, the first three
# of no head that reads peaks, the first four of no level.
READABLE_VERSIONS = (1, 2, 3, 4, 5)
OPTIONAL_FACTS = {"known", "level_db"}  # what a header may lack, and what a further fact has to be put among
MAX_HEADER_BYTES = 8 * 2**20  # 1,000 labels of 200 characters in a script of 4 bytes, and their report, take half of it
MAX_REPORT_BYTES = 4 * 2**20
MAX_LABEL_CHARS = 1000  # whatever a service allows
MAX_TEXT_CHARS = 1000  # of every other text


@dataclass(frozen=True, kw_only=True)
class AdapterInfo:
    """What an adapter's file says of itself in its header, in JSON's terms."""

    method: str
    audio_prompt: str
    labels: tuple[str, ...]
    template: str | None
    base_model: str
    fingerprint: str
    logit_scale: float
    temperature: float
    threshold: float | None
    shots: Mapping[str, int]
    seed: int
    preset: str | None
    num_parameters: int
    report: Report
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    format_version: int = FORMAT_VERSION
    known: KnownRule | None = None
    """None in files of the first release, where `threshold` is of the best probability."""
    level_db: float | None = None
    """To which clips are brought before they are heard, see `aspl.sound.level`; None for as they were recorded."""

    @property
    def is_guarded(self) -> bool:
        """Whether a linear head beside the one that answers hears what was never taught."""
        return self.known is not None and self.known.mean is None and not METHODS[self.method].is_closed_form


def read_info(data: bytes) -> AdapterInfo:
    """Return the checked facts from the header of an adapter's file; raises AdapterInvalid."""
    try:
        metadata = json.loads(_header(data))["__metadata__"]
        facts = json.loads(metadata["adapter"])
        is_adapter = metadata["format"] == FORMAT
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AdapterInvalid("the file is not an earshot adapter: its header holds no adapter") from error
    if not is_adapter or not isinstance(facts, dict) or facts.get("format_version") not in READABLE_VERSIONS:
        raise AdapterInvalid(f"the file is not an earshot adapter of format version {FORMAT_VERSION} or before")
    names = set(AdapterInfo.__dataclass_fields__)
    if odd := (facts.keys() - names) | (names - facts.keys() - OPTIONAL_FACTS):
        raise AdapterInvalid(f"the adapter's header lacks or doubles {sorted(odd)}")
    facts |= {name: None for name in OPTIONAL_FACTS - facts.keys()}
    _check_facts(facts)
    try:
        json.dumps(facts, allow_nan=False, ensure_ascii=False).encode()
        typed = {"labels": tuple(facts["labels"]), "known": _known_rule(facts), "report": _report(facts)}
        info = AdapterInfo(**{**facts, **typed})
        asdict(info)
    except (ValueError, RecursionError) as error:  # NaN, half a character, thousands of lists in a list
        raise AdapterInvalid(f"the adapter's header holds what JSON cannot: {str(error)[:80]}") from error
    return info


def read_channel(data: bytes) -> tuple[float, ...] | None:
    """Return the channel of an adapter's file, in dB a mel bin, without a model; None where it has none.

    Raises AdapterInvalid.
    """
    header = _header(data)
    try:
        entry = json.loads(header).get(CHANNEL)
        if entry is None:
            return None
        start, end = (8 + len(header) + offset for offset in entry["data_offsets"])
        return struct.unpack(f"<{entry['shape'][0]}f", data[start:end])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, struct.error) as error:
        raise AdapterInvalid("the adapter's channel cannot be read") from error


def _header(data: bytes) -> bytes:
    """Return the header of a safetensors file, JSON; raises AdapterInvalid where it has none that we read."""
    size = int.from_bytes(data[:8], "little") if len(data) >= 8 else 0
    if not 2 <= size <= min(len(data) - 8, MAX_HEADER_BYTES):
        raise AdapterInvalid("the file is not a safetensors file, or is cut short")
    return data[8 : 8 + size]


def _known_rule(facts: dict[str, Any]) -> KnownRule | None:
    if facts["known"] is None:
        return None
    try:
        return KnownRule.from_facts(facts["known"], len(facts["labels"]))
    except ValueError as error:
        raise AdapterInvalid(f"known in the adapter's header cannot be right: {error}") from error


def _report(facts: dict[str, Any]) -> Report:
    try:
        report = Report.from_json(facts["report"])
        size = len(json.dumps(report.to_json(), ensure_ascii=False).encode())
        if size > MAX_REPORT_BYTES:
            raise ValueError(f"it takes {size} bytes; {MAX_REPORT_BYTES} are the most")
        return report
    except ValueError as error:
        raise AdapterInvalid(f"report in the adapter's header cannot be right: {error}") from error


def _check_facts(facts: dict[str, Any]) -> None:
    def number(value: Any, lowest: float, highest: float) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest

    def text(value: Any, most: int = MAX_TEXT_CHARS) -> bool:
        return isinstance(value, str) and len(value) <= most

    labels, shots, threshold = facts["labels"], facts["shots"], facts["threshold"]
    checks = {
        "method": isinstance(facts["method"], str) and facts["method"] in METHODS,
        "audio_prompt": text(facts["audio_prompt"]),
        "labels": isinstance(labels, list) and all(text(label, MAX_LABEL_CHARS) for label in labels),
        "template": facts["template"] is None or text(facts["template"]),
        "base_model": text(facts["base_model"]),
        "fingerprint": isinstance(facts["fingerprint"], str) and len(facts["fingerprint"]) == 64,
        "logit_scale": number(facts["logit_scale"], 0, 1000) and facts["logit_scale"] > 0,
        "temperature": number(facts["temperature"], 0.001, 1000),
        "threshold": threshold is None or number(threshold, 0, 1),
        "shots": isinstance(shots, dict)
        and len(shots) <= MAX_LABELS
        and all(text(label, MAX_LABEL_CHARS) and type(count) is int and count > 0 for label, count in shots.items()),
        "seed": isinstance(facts["seed"], int) and abs(facts["seed"]) < 2**64,
        "preset": facts["preset"] is None or text(facts["preset"]),
        "num_parameters": isinstance(facts["num_parameters"], int) and 0 <= facts["num_parameters"] < 2**53,
        "created_at": text(facts["created_at"]),
        "level_db": facts["level_db"] is None or number(facts["level_db"], -120, 0),
    }
    if wrong := [name for name, holds in checks.items() if not holds]:
        raise AdapterInvalid(f"{wrong[0]} in the adapter's header cannot be {str(facts[wrong[0]])[:80]!r}")
    try:
        parse_kind(facts["audio_prompt"])
        METHODS[facts["method"]].check_labels(facts["labels"])
    except AsplError as error:
        raise AdapterInvalid(f"the adapter's header is wrong: {error}") from error
