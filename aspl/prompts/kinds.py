"""The names of the audio prompts' stages, and of sets of them; knows nothing of torch."""

from aspl.errors import AudioPromptInvalid

STAGES = ("spectral", "token", "structural")
KINDS = {"none": (), "aspl": ("spectral", "token"), "aspl_star": STAGES}


def parse_kind(kind: str) -> tuple[str, ...]:
    """Return the stages of `kind`: `none`, `aspl`, `aspl_star`, or stages joined by `+` such as `spectral+structural`.

    Raises:
        AudioPromptInvalid: anything else.
    """
    if kind in KINDS:
        return KINDS[kind]
    parts = kind.split("+")
    if len(set(parts)) < len(parts) or not set(parts) <= set(STAGES):
        known = ", ".join([*KINDS, *STAGES])
        raise AudioPromptInvalid(f"no audio prompt {kind!r}: take one of {known}, or stages joined by +")
    return tuple(stage for stage in STAGES if stage in parts)
