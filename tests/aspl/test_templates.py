import pytest

from aspl.errors import TemplateInvalid
from aspl.templates import check_template, fill_template


@pytest.mark.parametrize("template", ["no place", "{} and {}", "{} in {room}", "{}}"])
def test_templates_need_one_place_and_have_no_other_braces(template):
    with pytest.raises(TemplateInvalid, match="exactly one"):
        fill_template(template, ["dog"])


def test_a_long_template_names_the_limit():
    assert check_template("a {}", max_chars=4) == "a {}"
    with pytest.raises(TemplateInvalid) as caught:
        check_template("a {}.", max_chars=4)
    assert caught.value.limit == ("max_template_chars", 4)


def test_labels_go_where_the_place_is():
    assert fill_template("a {} barks", ["dog", "{}"]) == ["a dog barks", "a {} barks"]
