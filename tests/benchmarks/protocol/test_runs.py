from pathlib import Path

from benchmarks.protocol.cost import Rates, cost_of
from benchmarks.protocol.layout import AudioSet, ListedClip, Split
from benchmarks.protocol.runs import Choice, all_runs, asked_for_now

LABELS = ("a", "b")
SPLITS = tuple(
    Split(
        fold, *(tuple(ListedClip(f"{part}{n}{label}", label) for n in range(20) for label in LABELS) for part in "rt")
    )
    for fold in (1, 2)
)
SETS = [AudioSet("mine", Path(), SPLITS, ())]
EVERYTHING = Choice(
    methods=["auto", "ridge", "palm", "zero_shot"],
    audio_prompts=["none", "adabn", "aspl"],
    presets=["palm_paper", "paper", "fast"],
    shots=[16],
    seeds=[0, 1],
    crop="ours",
)


def test_each_combination_that_there_is_makes_a_line():
    assert list(EVERYTHING.kinds()) == [
        ("auto", "none", None),
        ("ridge", "none", None),
        *(("palm", prompt, preset) for prompt in ("none", "adabn") for preset in EVERYTHING.presets),
        ("palm", "aspl", "paper"),
        ("zero_shot", "none", None),
        ("zero_shot", "adabn", None),
        ("zero_shot", "aspl", "paper"),
    ]


def test_learnt_audio_prompts_come_last_and_may_be_kept_to_one_draw():
    runs = all_runs(SETS, EVERYTHING, model="m")
    assert len(runs) == len(set(runs)) == 12 * 4
    assert [run.is_learnt for run in runs] == [False] * 40 + [True] * 8
    now = asked_for_now(runs, SETS, Choice(**vars(EVERYTHING) | {"learnt_once": True}))
    learnt = [run for run in now if run.is_learnt]
    assert len(now) == 42 and {(run.fold, run.seed) for run in learnt} == {(1, 0)}


def test_passes_are_reckoned_from_the_recipe():
    rates = Rates(clip_s=0.0, window_s=0.1, text_s=0.0, windows=1.0)
    runs = all_runs(SETS, Choice(**vars(EVERYTHING) | {"methods": ["palm", "cocoop"]}), model="m")
    costs = {(run.method, run.audio_prompt, run.preset): cost_of(run, SPLITS[0], rates) for run in runs}
    assert costs["palm", "none", "paper"].audio_passes == 0
    assert costs["palm", "aspl", "paper"].audio_passes == 2.5 * 100 * 32 + 40  # epochs, taught clips; test clips
    assert costs["palm", "aspl", "paper"].seconds > 0.1 * 8040
    assert costs["cocoop", "none", "palm_paper"].text_passes == 2 + (2.5 * 50 * 32 + 40) * 2
