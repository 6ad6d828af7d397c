import numpy as np
import pytest
import torch

from aspl.fitting.gates import find_gates, gated
from aspl.prompts.audio import Affine, AudioPrompts

STAGES = ("spectral", "token", "structural")
TRUTH = np.array([0, 1, 0, 1, 0, 1])


def prompts():
    return AudioPrompts(**{stage: Affine(torch.full((3,), 1.5), torch.full((3,), -2.0)) for stage in STAGES})


def test_a_gate_draws_a_stage_towards_the_identity():
    half = gated(prompts(), {"spectral": 0.5, "token": 1.0, "structural": 0.0})
    assert half.spectral.gamma.tolist() == [1.25] * 3 and half.spectral.beta.tolist() == [-1.0] * 3
    assert torch.equal(half.token.gamma, prompts().token.gamma)
    assert half.structural is None and half.kind == "aspl"


def scores(gates):
    """Logits that are right by as much as the token stage is there and wrong by as much as the structural one is."""
    lead = 1.0 + gates["token"] - gates["structural"]
    noise = np.array([0.0, -0.3, 0.2, 0.1, -0.2, 3.0])  # so that no temperature makes all of them alike
    sign = np.where(TRUTH == 0, 1, -1) * (lead - noise)
    return np.stack([sign, -sign], axis=1)


def test_each_stage_is_kept_as_far_as_it_helps_and_the_smallest_wins_a_tie():
    asked = []

    def hear(gates):
        asked.append(dict(gates))
        return scores(gates)

    found = find_gates(STAGES, TRUTH, scores(dict.fromkeys(STAGES, 1.0)), hear)
    assert found.gates == {"spectral": 0.0, "token": 1.0, "structural": 0.0}
    np.testing.assert_array_equal(found.logits, scores(found.gates))
    assert len(asked) == 6  # two more for each stage than what is known beforehand


@pytest.mark.parametrize("stages", [("token",), ()])
def test_fewer_stages_are_asked_for_less(stages):
    asked = []

    def hear(gates):
        asked.append(gates)
        return scores({"structural": 0.0, **gates})

    find_gates(stages, TRUTH, scores({"token": 1.0, "structural": 0.0}), hear)
    assert len(asked) == 2 * len(stages)
