import numpy as np
import pytest
import torch

from aspl import AudioFeatures
from aspl.fitting.precision import kept_head
from aspl.heads.linear import LinearHead
from aspl.heads.text import TextHead
from aspl.known import SENSITIVITIES, KnownRule
from aspl.stage_layout import StageLayout

LAYOUT = StageLayout((3, 4))
WIDTH, JOINT = 14, 5


def features(rows=40):
    generator = torch.Generator().manual_seed(0)
    joint = torch.nn.functional.normalize(torch.randn(rows, JOINT, generator=generator), dim=-1)
    return AudioFeatures(joint, torch.rand(rows, WIDTH, generator=generator))


def head(num_labels):
    generator = torch.Generator().manual_seed(1)
    return LinearHead(
        torch.randn(num_labels + 1, WIDTH + JOINT, generator=generator), torch.zeros(num_labels + 1), LAYOUT
    )


@pytest.mark.parametrize(("num_labels", "dtype"), [(50, torch.float32), (51, torch.float16)])
def test_half_precision_is_kept_of_texts_beyond_fifty_labels(num_labels, dtype):
    kept = kept_head(head(num_labels), num_labels, features())
    assert kept.matrix.dtype == torch.float16
    whole, half = (each.scores(features()) for each in (head(num_labels), kept))
    assert torch.equal(whole[0].argmax(1), half[0].argmax(1))
    assert torch.allclose(whole[1], half[1], atol=0.02)
    text = TextHead(torch.nn.functional.normalize(torch.randn(num_labels, JOINT), dim=1))
    assert kept_head(text, num_labels, features()).class_features.dtype in (dtype, torch.float32)


def test_full_precision_is_kept_where_an_answer_would_change():
    whole = head(60)
    whole.matrix[:2] = 1.0
    whole.matrix[0, 0], whole.matrix[1, 0] = 1.0, 1.0001  # which half precision cannot tell apart
    whole.bias[:2] = 50.0
    assert kept_head(whole, 60, features()).matrix.dtype == torch.float32


def test_full_precision_is_kept_where_a_clip_would_be_unknown():
    whole, heard = head(60), features()
    lead = whole.scores(heard)[1]
    between = float(whole.halved().scores(heard)[1][0] + lead[0]) / 2  # a threshold between the two
    rows = {name: (0.5,) * 60 for name in SENSITIVITIES}
    rule = KnownRule(1.0, between, rows["balanced"], rows)
    assert kept_head(whole, 60, heard, rule).matrix.dtype == torch.float32
    assert np.isfinite(between)
