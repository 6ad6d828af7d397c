"""Which learnt audio prompts a fit keeps, stage by stage: see `aspl.fitting.gates`.

A closed-form head hears under what PALM's candidates learnt, fold by fold, and is fitted anew under each: what does no
better on held-out clips than the clips as they are is dropped.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from aspl.fitting.candidates import CANDIDATES
from aspl.fitting.choice import choose
from aspl.fitting.closed_form import Given, bank_for, texts_of, words_of
from aspl.fitting.gates import BARE, Gated, KeptPrompts, find_gates, gated
from aspl.fitting.plan import Plan
from aspl.fitting.records import Trial, TrialResult
from aspl.fitting.trial import TrialRunner
from aspl.heads.ridge_head import Teaching, fit_ridge_head
from aspl.prompts.audio import AudioPrompts

# n clips, h held-out clips, K labels


def gate_text(runner: TrialRunner, candidate: str, result: TrialResult) -> tuple[TrialResult, Gated | None]:
    """Return the result of a candidate of words with its audio prompts gated, and the gates; None where it has none."""
    stages, plan = tuple(result.prompts.stages()), runner.plan
    if not stages or not plan.folds or not plan.recipe.chooses:
        return result, None
    clips = plan.held_out_clips

    def hear(gates: Mapping[str, float]) -> np.ndarray:
        parts = []
        for fold, held_out in enumerate(plan.folds):
            trial = runner.result(Trial(candidate, fold))
            runner.text.set_values(trial.parameters)
            prompts = gated(trial.prompts, gates).to(runner.clips.clap.device)
            parts.append(CANDIDATES[candidate].score(runner, held_out, prompts, None).numpy())
        return np.concatenate(parts)

    found = find_gates(stages, plan.truth[clips], runner.held_out_logits(candidate)[clips], hear)
    return replace(result, prompts=gated(result.prompts, found.gates)), found


def choose_prompts(given: Given, plan: Plan, runner: TrialRunner) -> KeptPrompts:
    """Return the prompts under which a closed-form head does best on held-out clips.

    Args:
        runner: of the trials that learn the prompts, with the folds of its own plan.
    """
    clips, truth = runner.plan.held_out_clips, plan.truth
    trials = HeldOutRidge(given, plan, runner)
    names = [name for name in runner.plan.candidates if name != "text"]
    held_out = {BARE: trials.logits(None, {})} | {name: trials.logits(name, None) for name in names}
    margins = {BARE: 0.0} | {name: CANDIDATES[name].margin for name in names}
    choice = choose(truth[clips], held_out, margins)
    if choice.candidate == BARE:
        return KeptPrompts(AudioPrompts(), choice)
    learnt = runner.result(Trial(choice.candidate, None)).prompts.to(given.clap.device)
    found = find_gates(
        tuple(learnt.stages()),
        truth[clips],
        held_out[choice.candidate],
        lambda gates: trials.logits(choice.candidate, gates),
    )
    return KeptPrompts(gated(learnt, found.gates), choice, found.gates)


class HeldOutRidge:
    """Closed-form heads of the clips outside a fold, heard under prompts that were learnt outside it too.

    The bank is heard under no prompt here: it moves all labels alike, and hearing it for every fold would cost more
    than all the rest.
    """

    def __init__(self, given: Given, plan: Plan, runner: TrialRunner) -> None:
        self._given, self._plan, self._runner = given, plan, runner
        clap = given.clap
        self._bank = bank_for(given, runner.progress)
        self._texts = texts_of(clap, plan) if any(words_of(plan)) else None
        self._order = given.order

    def logits(self, candidate: str | None, gates: Mapping[str, float] | None) -> np.ndarray:
        """Return `[h, K]` of held-out clips; a candidate of None is no prompt, gates of None are all 1."""
        parts = [self._fold(fold, candidate, gates) for fold in range(len(self._runner.plan.folds))]
        return np.concatenate(parts)

    def _fold(self, fold: int, candidate: str | None, gates: Mapping[str, float] | None) -> np.ndarray:
        runner, scale = self._runner, self._bank.scale
        prompts = AudioPrompts()
        if candidate is not None:
            prompts = runner.result(Trial(candidate, fold)).prompts
            prompts = (prompts if gates is None else gated(prompts, gates)).to(self._given.clap.device)
        with torch.no_grad():
            heard = self._given.heard(prompts, runner.progress.tick)
        runner.progress.spend(len(self._given.clips) if prompts.stages() else 0)
        scaled, members = scale.scaled(heard.stages, heard.joint), runner.plan.members(fold)
        teaching = Teaching(
            scaled=scaled[members],
            classes=self._plan.truth[members],
            order=self._order[members],
            own=scaled[:0],
            joint=heard.joint[members],
            texts=self._texts,
        )
        fit = fit_ridge_head(teaching, self._bank, text_weights=words_of(self._plan))
        out = runner.plan.held_out(fold)
        scores = fit.head.scores(scale.logged(heard.stages[out], heard.joint[out]))
        return scores[:, :-1] * fit.sharpness
