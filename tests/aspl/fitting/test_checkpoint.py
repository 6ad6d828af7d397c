from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from aspl import AudioPrompts, FrozenClap, TrainingConfig
from aspl.fitting import checkpoint
from aspl.fitting.checkpoint import TrainingCheckpoint, fit_key
from aspl.fitting.plan import make_plan
from aspl.fitting.records import LearnerState, Trial, TrialResult
from aspl.prompts.audio import Affine
from tests.small_clap import write_small_clap

LABELS = ["a", "b"]
WAVEFORMS = [np.full(4800, value, np.float32) for value in (0.1, 0.2)]


@pytest.fixture(scope="module")
def other_clap(tmp_path_factory):
    return FrozenClap.load(write_small_clap(tmp_path_factory.mktemp("other") / "small-clap", seed=1))


def key(clap, plan=None):
    return fit_key(
        clap,
        WAVEFORMS,
        LABELS,
        plan or make_plan(LABELS, TrainingConfig(method="palm", audio_prompt="aspl_star"), logit_scale=1.0),
    )


def test_what_is_saved_is_read_again(tmp_path):
    affine = Affine(torch.ones(3), torch.zeros(3))
    result = TrialResult({"meta_net.0.bias": torch.ones(2)}, AudioPrompts(token=affine), torch.zeros(1, 2))
    state = LearnerState(4, {"z": torch.ones(1)}, {"gammas.token": torch.zeros(3)}, {0: {"exp_avg": torch.ones(1)}})
    nothing = TrialResult({})
    TrainingCheckpoint(tmp_path / "fit", "k").save({Trial("joint", 2): result, Trial("joint", None): state})
    read = TrainingCheckpoint(tmp_path / "fit", "k").load()
    assert list(read) == [Trial("joint", 2), Trial("joint", None)]
    assert torch.equal(read[Trial("joint", 2)].parameters["meta_net.0.bias"], torch.ones(2))
    assert read[Trial("joint", 2)].prompts.kind == "token"
    assert torch.equal(read[Trial("joint", 2)].held_out, torch.zeros(1, 2))
    assert read[Trial("joint", None)].next_epoch == 4
    assert torch.equal(read[Trial("joint", None)].optimizer[0]["exp_avg"], torch.ones(1))
    TrainingCheckpoint(tmp_path / "fit", "k").save({Trial("text", None): nothing})
    assert isinstance(TrainingCheckpoint(tmp_path / "fit", "k").load()[Trial("text", None)], TrialResult)


def test_another_key_or_release_starts_over(tmp_path):
    TrainingCheckpoint(tmp_path / "fit", "k").save({Trial("text", 0): TrialResult({})})
    assert TrainingCheckpoint(tmp_path / "fit", "other").load() == {}
    # As the first release wrote it, under a key that happens to be ours.
    save_file({"text/0|is_done": torch.tensor(1)}, tmp_path / "first", metadata={"key": "k"})
    assert TrainingCheckpoint(tmp_path / "first", "k").load() == {}


def test_the_key_holds_model_recipe_and_release(clap, other_clap, monkeypatch):
    assert clap.name == other_clap.name
    plan = make_plan(LABELS, TrainingConfig(method="palm", audio_prompt="aspl_star"), logit_scale=1.0)
    keys = {key(clap), key(other_clap), key(clap, replace(plan, recipe=replace(plan.recipe, weight_decay=0.1)))}
    assert key(clap) == key(clap)
    monkeypatch.setattr(checkpoint, "RELEASE", "another")
    assert len(keys | {key(clap)}) == 4
