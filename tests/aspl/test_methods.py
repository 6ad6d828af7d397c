import numpy as np
import pytest

from aspl.errors import LabelsInvalid, TrainingConfigInvalid
from aspl.methods import METHODS, method_named


@pytest.mark.parametrize(
    ("labels", "method", "match"),
    [
        (["dog"], "palm", "1 labels"),
        (["dog", ""], "palm", "empty"),
        (["dog", "cat", "dog"], "palm", "'dog' comes twice"),
        ([str(i) for i in range(1001)], "palm", "2 to 1000"),
        ([str(i) for i in range(51)], "cocoop", "2 to 50"),
    ],
)
def test_labels_that_cannot_be_used(labels, method, match):
    with pytest.raises(LabelsInvalid, match=match):
        METHODS[method].check_labels(labels)


def test_an_unknown_method_is_named():
    with pytest.raises(TrainingConfigInvalid, match="no method"):
        method_named("magic")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_head_that_says_what_it_reads(clap, name):
    method = METHODS[name]
    if method.is_closed_form:
        width = clap.statistics_width + clap.joint_width
        head = method.head_type.fitted(np.zeros((3, width)), np.zeros(3), clap)
    else:
        head = method.head_type.of(method.untrained(clap, ["dog", "rain"]))
    assert head.reads <= {"joint", "stages"}
    shapes = {name: tuple(tensor.shape) for name, tensor in head.tensors().items()}
    assert shapes == method.head_type.shapes(2, clap)
    assert not any(tensor.requires_grad for tensor in head.tensors().values())
