"""How right, how silent and how honest the ear is: `python -m benchmarks.ear DATA`.

DATA is a folder of sets, each with `clips.csv` (columns file and label; fold or source where clips of one source are
to stay together) and its clips. A tenant teaches a part of a set's labels; the rest and the other sets are what it was
never taught. `--check` holds the answers of the first draw against those of `fit` and `classify`, `--rate-hz` brings
all clips to a lower sample rate first, as if one device had heard them all.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from aspl import FrozenClap, classify, fit
from aspl.background import MODELS
from aspl.fitting.closed_form import Heard
from aspl.fitting.heard_clip import digest_of
from aspl.fitting.speed_copies import MOST_COPIES
from aspl.fitting.suspects import AgainstBackground, Suspects, find_suspects
from aspl.heads.ridge_head import HeadFit, Teaching, fit_ridge_head
from aspl.heads.unknown import raw_known, raw_threshold
from aspl.sound.clip import SAMPLE_RATE_HZ
from benchmarks.ear_draws import Clips, Draw, draw, mislabelled, stack
from benchmarks.ear_world import World, load_world
from benchmarks.intervals import mean_and_interval
from benchmarks.machine import describe_machine

SETS = ("esc10", "instruments", "foley")
SEEDS = range(20)
CALIBRATION_BINS = 15
Row = dict[str, float]


@dataclass(frozen=True, eq=False)
class Tenant:
    """A fitted draw and what it cost."""

    world: World
    draw: Draw
    fit: HeadFit
    fit_ms: float

    def scores(self, clips: Clips) -> np.ndarray:
        """Return `[len(clips), K + 1]`."""
        sets = self.world.sets
        logged = self.world.bank.scale.logged(stack(sets, clips, "stages"), stack(sets, clips, "joint"))
        return self.fit.head.scores(logged)


def check(clap: FrozenClap, world: World, name: str, shots: int) -> None:
    """Raise AssertionError unless `fit` and `classify` answer as the draw's own scores do."""
    drawn = draw(world.sets, name, shots, 0)
    tenant = teach(world, drawn)

    def waveforms(clips: Clips) -> list[np.ndarray]:
        return [world.sets[place].waveforms[row] for place, row in clips]

    adapter = fit(clap, waveforms(drawn.train), [drawn.taught[k] for k in drawn.train_classes])
    heard = [*drawn.test, *drawn.foreign]
    answers = classify(clap, waveforms(heard), [adapter] * len(heard))
    scores, threshold = tenant.scores(heard), own_threshold(tenant.fit)
    same = [drawn.taught[k] == answer.label for k, answer in zip(scores[:, :-1].argmax(1), answers, strict=True)]
    unknown = [(raw < threshold) == a.is_unknown for raw, a in zip(raw_known(scores), answers, strict=True)]
    assert np.mean(same) > 0.99 and np.mean(unknown) > 0.98, (np.mean(same), np.mean(unknown))
    print(f"fit and classify answer as the draw does, {name} at {shots} shots: {len(heard)} clips")


def teach(
    world: World, drawn: Draw, *, classes: np.ndarray | None = None, with_background: bool = False, words: bool = True
) -> Tenant:
    """Fit a draw, `classes` in place of the right ones where given."""
    scale, texts = world.bank.scale, np.array([world.texts[label] for label in drawn.taught])

    def scaled(clips: Clips) -> np.ndarray:
        return scale.scaled(stack(world.sets, clips, "stages"), stack(world.sets, clips, "joint"))

    copies = Heard.of_copies([world.sets[name].copies[row] for name, row in drawn.train], world.bank.joint.shape[1])
    features, own = scaled(drawn.train), scaled(drawn.own_background if with_background else [])
    started = time.perf_counter()
    teaching = Teaching(
        scaled=features,
        classes=drawn.train_classes if classes is None else classes,
        order=np.array([digest_of(world.sets[name].waveforms[row]) for name, row in drawn.train]),
        own=own,
        joint=stack(world.sets, drawn.train, "joint"),
        texts=texts if words else None,
        copies=[scale.scaled(copy.stages, copy.joint) for copy in copies],
    )
    fit = fit_ridge_head(teaching, world.bank)
    return Tenant(world, drawn, fit, 1000 * (time.perf_counter() - started))


def mean_accuracy(guess: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of the labels' accuracies."""
    return float(np.mean([(guess[truth == label] == label).mean() for label in np.unique(truth)]))


def area(known: np.ndarray, others: np.ndarray) -> float:
    """Return the area under the ROC curve, NaN without others."""
    if not len(others):
        return float("nan")
    truth = np.repeat([1, 0], [len(known), len(others)])
    return float(roc_auc_score(truth, np.concatenate([known, others])))


def own_threshold(fit: HeadFit, *, num_own: int = 0) -> float:
    """Return the raw threshold that a fit sets, with so many clips of the tenant's own background."""
    taught = raw_known(fit.held_apart)[fit.folds >= 0]
    return raw_threshold(taught, raw_known(fit.bank), num_own=num_own)


def decided(known: np.ndarray, foreign: np.ndarray, threshold: float) -> Row:
    """Return what a threshold makes of raw scores of taught and of foreign clips."""
    accepted, rejected = (foreign >= threshold).mean(), (known < threshold).mean()
    return {"foreign accepted": float(accepted), "known rejected": float(rejected)}


def open_set(world: World, name: str, shots: int, seed: int) -> Row:
    """Return the figures of the table of the unknown for one draw."""
    drawn = draw(world.sets, name, shots, seed)
    row: Row = {}
    for suffix, with_background in (("", False), (", own background", True)):
        tenant = teach(world, drawn, with_background=with_background)
        test = tenant.scores(drawn.test)
        known, foreign = raw_known(test), raw_known(tenant.scores(drawn.foreign))
        threshold = own_threshold(tenant.fit, num_own=len(drawn.own_background) if with_background else 0)
        if not with_background:
            row["accuracy"] = mean_accuracy(test[:, :-1].argmax(1), drawn.test_classes)
            row["AUROC foreign"] = area(known, foreign)
            row["AUROC near"] = area(known, raw_known(tenant.scores(drawn.near))) if drawn.near else float("nan")
            row["fit, ms / 100"] = tenant.fit_ms / 100
        row |= {what + suffix: share for what, share in decided(known, foreign, threshold).items()}
    return row


def closed_set(world: World, name: str, shots: int, seed: int) -> Row:
    """Return the accuracy with all labels of a set taught, with and without words."""
    drawn = draw(world.sets, name, shots, seed, share=1.0)
    row: Row = {}
    for kind, words in (("with words", True), ("without", False)):
        guess = teach(world, drawn, words=words).scores(drawn.test)[:, :-1].argmax(1)
        row[f"accuracy, {kind}"] = mean_accuracy(guess, drawn.test_classes)
    cosines = stack(world.sets, drawn.test, "joint") @ np.array([world.texts[label] for label in drawn.taught]).T
    row["accuracy, zero-shot"] = mean_accuracy(cosines.argmax(1), drawn.test_classes)
    return row


def detector(world: World, name: str, shots: int, seed: int) -> Row:
    """Return one label against the rest of its set and against the other sets."""
    drawn = draw(world.sets, name, shots, seed, share=0.0)
    tenant = teach(world, drawn)
    known, near, foreign = (raw_known(tenant.scores(clips)) for clips in (drawn.test, drawn.near, drawn.foreign))
    threshold = own_threshold(tenant.fit)
    alarm = np.quantile(np.concatenate([near, foreign]), 0.99)
    return {
        "AUROC foreign": area(known, foreign),
        "AUROC near": area(known, near),
        "misses at one false alarm in a hundred": float((known < alarm).mean()),
        **decided(known, foreign, threshold),
    }


def wrong_labels(world: World, name: str, shots: int, seed: int) -> Row:
    """Return how well a tenth of wrong labels is found, and how many clips are listed where none is wrong."""
    drawn = draw(world.sets, name, shots, seed)
    spoilt, wrong, _ = mislabelled(drawn, shots, seed)
    clean, found = (
        find_tenants_suspects(teach(world, drawn, classes=classes), classes)
        for classes in (drawn.train_classes, spoilt)
    )
    worst = found.ranked[: len(wrong)]
    return {
        "wrong among the k worst": float(np.isin(worst, wrong).mean()),
        "listed on clean": float(clean.is_listed.mean()),
        "wrong listed": float(found.is_listed[wrong].mean()),
    }


def find_tenants_suspects(tenant: Tenant, classes: np.ndarray) -> Suspects:
    """Return what a fit makes of its own clips, taught as `classes`."""
    fit = tenant.fit
    against = AgainstBackground.of(fit.held_out, fit.bank)
    return find_suspects(fit.held_out[:, :-1], classes, fit.folds >= 0, fit.sharpness, against)


def calibration(world: World, name: str, shots: int, seeds: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the top probabilities of known clips and whether they are right, over draws."""
    tops, hits = [], []
    for seed in seeds:
        drawn = draw(world.sets, name, shots, seed)
        tenant = teach(world, drawn)
        logits = tenant.scores(drawn.test)[:, :-1] * tenant.fit.sharpness
        probabilities = np.exp(logits - logits.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
        tops.append(probabilities.max(1))
        hits.append(probabilities.argmax(1) == drawn.test_classes)
    return np.concatenate(tops), np.concatenate(hits)


def calibration_error(tops: np.ndarray, hits: np.ndarray) -> float:
    """Return the expected calibration error over 15 bins of equal width."""
    bins = np.minimum((tops * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(tops[bins == k].mean() - hits[bins == k].mean()) * (bins == k).mean() for k in np.unique(bins)]
    return float(sum(gaps))


def table(title: str, measure: Callable[..., Row], world: World, names: Iterable[str], shots: Iterable[int], seeds):
    """Print a measure's figures in %, mean and 95 % interval over the draws of all sets, and each set's mean."""
    for count in shots:
        rows = {name: [measure(world, name, count, seed) for seed in seeds] for name in names}
        shown = Table("figure, %", f"{count} shots", *rows, title=title)
        for figure in next(iter(rows.values()))[0]:
            values = {name: [100 * row[figure] for row in each] for name, each in rows.items()}
            mean, half = mean_and_interval(value for each in values.values() for value in each)
            shown.add_row(figure, f"{mean:.1f} +- {half:.1f}", *(f"{np.nanmean(each):.1f}" for each in values.values()))
        Console(width=140).print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default=str(MODELS / "tiny-clap"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--without-copies", action="store_true", help="hear no clip at other speeds (not with --check)")
    parser.add_argument("--rate-hz", type=float, default=SAMPLE_RATE_HZ)
    parser.add_argument("--without-band", action="store_true", help="hear the background in all bands alone")
    parser.add_argument("--only", nargs="+", default=["open", "closed", "detectors", "wrong", "calibration"])
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    print(json.dumps(describe_machine()))
    clap = FrozenClap.load(arguments.model)
    copies = 0 if arguments.without_copies else MOST_COPIES
    options = {"copies": copies, "rate_hz": arguments.rate_hz, "hears_band": not arguments.without_band}
    world = load_world(clap, arguments.data, arguments.sets, **options)
    if arguments.check:
        for name in arguments.sets:
            check(clap, world, name, 5)
    names = arguments.sets
    if "open" in arguments.only:
        table("known and unknown", open_set, world, names, (5, 16), seeds)
    if "closed" in arguments.only:
        table("all labels taught", closed_set, world, names, (1, 2, 4, 8, 16), seeds)
    if "detectors" in arguments.only:
        table("detectors", detector, world, names, (5, 16), seeds)
    if "wrong" in arguments.only:
        table("wrong labels", wrong_labels, world, names, (5, 8, 16), seeds)
    if "calibration" in arguments.only:
        for shots in (1, 2, 5, 8, 16):
            pooled = [calibration(world, name, shots, seeds) for name in names]
            error = calibration_error(*(np.concatenate(part) for part in zip(*pooled, strict=True)))
            print(f"calibration error at {shots} shots: {error:.3f}")


if __name__ == "__main__":
    main()
