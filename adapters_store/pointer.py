"""Which version a bare name means: one small file an adapter, which knows a version for each base model.

{"version": 3, "digest": "…", "models": {"FINGERPRINT": {"version": 5, "digest": "…"}}}

A name means `version`, but for a model that `models` knows: there it means that model's. So an adapter can be fitted on
another model, and stand ready for it, while the old one serves. Releases before 0.3 read `version` alone.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from adapters_store.errors import AdapterCorrupt
from adapters_store.files import Files
from adapters_store.manifests import checked_ref, parsed, parsed_manifest
from adapters_store.names import MANIFEST, Ref, pointer_path, version_path


@dataclass(frozen=True)
class Pointer:
    """What the file says.

    Attributes:
        current: what the name means.
        models: what it means for some base models, by their fingerprints.
    """

    current: Ref
    models: Mapping[str, Ref] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes, tenant: str, name: str) -> Self:
        """The pointer that `to_bytes` wrote; raises AdapterCorrupt."""
        what = f"The current pointer of adapter {name!r}"
        value = parsed(data, what)
        models = value.get("models") or {}
        if not isinstance(models, dict) or not all(isinstance(fields, dict) for fields in models.values()):
            raise AdapterCorrupt(f"{what} is damaged: its models are none.")
        refs = {fingerprint: checked_ref(tenant, name, fields) for fingerprint, fields in models.items()}
        return cls(checked_ref(tenant, name, value), refs)

    def to_bytes(self) -> bytes:
        """The pointer as its file holds it."""
        models = {fingerprint: _fields(ref) for fingerprint, ref in self.models.items()}
        return json.dumps({**_fields(self.current), **({"models": models} if models else {})}).encode()

    def of(self, fingerprint: str) -> Ref:
        """What the name means for a base model, "" of none in particular."""
        return self.models.get(fingerprint, self.current)

    def moved(self, fingerprint: str, ref: Ref) -> Self:
        """The pointer after the name was given another meaning for that model."""
        return self.for_model(fingerprint, ref) if fingerprint in self.models else replace(self, current=ref)

    def for_model(self, fingerprint: str, ref: Ref) -> Self:
        """The pointer after a version was made ready for that model, and for no other."""
        return replace(self, models={**self.models, fingerprint: ref})


class Pointers:
    """The pointers of a store, as one base model sees them; the locks are its caller's to hold.

    Args:
        fingerprint: of that model; "" sees what a name means where no model is asked for.
    """

    def __init__(self, files: Files, fingerprint: str = ""):
        self._files = files
        self._fingerprint = fingerprint

    def read(self, tenant: str, name: str) -> Pointer | None:
        """The adapter's pointer, None where there is no such adapter; raises AdapterCorrupt."""
        data = self._files.read(pointer_path(tenant, name))
        return None if data is None else Pointer.parse(data, tenant, name)

    def current(self, tenant: str, name: str) -> Ref | None:
        """What the bare name means; raises AdapterCorrupt."""
        pointer = self.read(tenant, name)
        return pointer and pointer.of(self._fingerprint)

    def sound(self, tenant: str, name: str) -> Pointer | None:
        """As `read`, for those about to write it: a damaged pointer counts as none, and so is healed."""
        try:
            return self.read(tenant, name)
        except AdapterCorrupt:
            return None

    def sound_current(self, tenant: str, name: str) -> int | None:
        """As `current`, for those about to set it."""
        pointer = self.sound(tenant, name)
        return pointer and pointer.of(self._fingerprint).version

    def move(self, ref: Ref) -> None:
        """Let the bare name mean `ref`."""
        pointer = self.sound(ref.tenant, ref.name)
        self._write(ref, pointer.moved(self._fingerprint, ref) if pointer else Pointer(ref))

    def make_ready(self, ref: Ref, fingerprint: str) -> None:
        """Let the bare name mean `ref` for the base model of that fingerprint, and for no other."""
        pointer = self.sound(ref.tenant, ref.name)
        self._write(ref, (pointer or Pointer(ref)).for_model(fingerprint, ref))

    def ready_for(self, tenant: str, name: str, fingerprint: str) -> Ref | None:
        """What was made ready for that base model, None where nothing was."""
        pointer = self.sound(tenant, name)
        return pointer and pointer.models.get(fingerprint)

    def settle(self, tenant: str, name: str, remaining: Iterable[int]) -> None:
        """Let the pointer name versions that remain, or remove it where none is left.

        In place of a version that goes comes the highest of its base model; where there is none, a model loses what was
        made ready for it, and the name itself means the highest that remains.
        """
        remaining = sorted(remaining, reverse=True)
        path = pointer_path(tenant, name)
        if not remaining:
            self._files.remove(path)
            return
        pointer = self.sound(tenant, name)
        if pointer is not None and {ref.version for ref in (pointer.current, *pointer.models.values())} <= {*remaining}:
            return
        manifests = {number: self._manifest(tenant, name, number) for number in remaining}

        def highest(fingerprint: str | None) -> Ref | None:
            for number, facts in manifests.items():
                if facts and fingerprint in (None, facts.get("fingerprint")):
                    return checked_ref(tenant, name, {**facts, "version": number})
            return None

        models: dict[str, Ref] = {}
        current = None
        if pointer is not None:
            for fingerprint, ref in pointer.models.items():
                if kept := ref if ref.version in manifests else highest(fingerprint):
                    models[fingerprint] = kept
            current = pointer.current
            if current.version not in manifests:
                # While the manifest of the one that goes can still be read, it tells the base model.
                fingerprint = self._manifest(tenant, name, current.version).get("fingerprint")
                current = highest(fingerprint) if fingerprint else None
        current = current or highest(None)
        if current is not None:
            self._files.write(path, Pointer(current, models).to_bytes())

    def _manifest(self, tenant: str, name: str, number: int) -> dict[str, Any]:
        """The manifest of a version; empty where it cannot be read."""
        data = self._files.read(version_path(tenant, name, number) + MANIFEST)
        try:
            return {} if data is None else parsed_manifest(data, name, number)
        except AdapterCorrupt:
            return {}

    def _write(self, ref: Ref, pointer: Pointer) -> None:
        self._files.write(pointer_path(ref.tenant, ref.name), pointer.to_bytes())


def _fields(ref: Ref) -> dict[str, Any]:
    return {"version": ref.version, "digest": ref.digest}
