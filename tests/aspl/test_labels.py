import subprocess
import sys
import time

import pytest

from aspl.errors import LabelsInvalid
from aspl.labels import check_distinct, check_label, fold_label


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("dog", "dog"),
        ("  dog  bark ", "dog bark"),
        ("dog\u00a0bark", "dog bark"),
        ("dog\tbark\r\n", "dog bark"),
        ("犬\u3000の声", "犬 の声"),
        ("be\u0301be\u0301", "bébé"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"),
        ("می\u200cخوانم", "می\u200cخوانم"),
        ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d🚒", "👩\u200d🚒"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("\U0001fae9 face", "\U0001fae9 face"),
        ("dog\u200c", "dog"),
        ("x" * 200, "x" * 200),
        (" " * 300 + "x", "x"),
        ("e\u0301" * 200, "é" * 200),
    ],
)
def test_labels_are_kept_in_one_form(given, kept):
    assert fold_label(given) == kept
    assert fold_label(kept) == kept
    check_label(kept)


@pytest.mark.parametrize(
    ("label", "match"),
    [
        ("", "empty"),
        (" \t\u00a0", "empty"),
        ("\u200d", "empty"),
        ("x" * 201, "max_label_chars"),
        ("e\u0301" * 201, "max_label_chars"),
        ("dog\0", r"U\+0000"),
        ("\u202edog", r"U\+202E"),
        ("do\u200bg", r"U\+200B"),
        ("\ufeffdog", r"U\+FEFF"),
        ("\ud83d", r"U\+D83D"),
        ("\ue000", r"U\+E000"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(label, match):
    with pytest.raises(LabelsInvalid, match=match):
        fold_label(label)


def test_the_limit_is_given():
    with pytest.raises(LabelsInvalid) as caught:
        fold_label("dog barks", max_chars=8)
    assert caught.value.limit == ("max_label_chars", 8)


def test_a_label_of_accents_alone_takes_no_time():
    begin = time.monotonic()
    with pytest.raises(LabelsInvalid):
        fold_label("a" + "\u0301\u0323" * 500_000)
    assert time.monotonic() - begin < 1


def test_labels_that_come_twice_are_named():
    check_distinct(["dog", "Dog", "cat"])
    with pytest.raises(LabelsInvalid, match="'dog' comes twice"):
        check_distinct(["dog", "cat", "dog"])


@pytest.mark.parametrize("module", ["labels", "errors", "audio"])
def test_labels_and_decoding_need_no_torch(module):
    code = f"import sys, aspl.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
