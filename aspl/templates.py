"""What the text around a label may be, and its defaults; knows nothing of torch."""

from collections.abc import Sequence

from aspl.errors import TemplateInvalid

PLACE = "{}"
SENTENCE = "This is a sound of {}."
BARE_LABEL = "{}"


def check_template(template: str, *, max_chars: int | None = None) -> str:
    """Return the template, which has one `{}` where the label goes and no other braces.

    Raises:
        TemplateInvalid: another one, or one of more than `max_chars` characters (naming the limit).
    """
    if max_chars is not None and len(template) > max_chars:
        detail = f"template: longer than max_template_chars = {max_chars} characters."
        raise TemplateInvalid(detail, limit=("max_template_chars", max_chars))
    around = template.replace(PLACE, "")
    if template.count(PLACE) != 1 or "{" in around or "}" in around:
        raise TemplateInvalid(f"template: exactly one {{}} is needed, for the label; this is {template[:80]!r}.")
    return template


def fill_template(template: str, labels: Sequence[str]) -> list[str]:
    """Put each label in the template's place; raises TemplateInvalid."""
    check_template(template)
    return [template.replace(PLACE, label) for label in labels]
