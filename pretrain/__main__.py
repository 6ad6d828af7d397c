"""`python -m pretrain`: make the sounds, train on them, export the model, measure it on real recordings."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder for synthetic sound and checkpoints, outside the repository.")]
Model = Annotated[Path, typer.Option(help="Directory of the exported model.")]
DATA = Path("../pretrain-data")
MODEL = Path("models/tiny-clap")
BACKGROUND = Path("models/background")


class Setting(StrEnum):
    """How much of everything: `tiny` proves that it runs, in a minute or two; `full` made the bundled model."""

    tiny = "tiny"
    full = "full"


SettingOption = Annotated[Setting, typer.Option(help="tiny: a minute or two, learns next to nothing; full: hours.")]
CLIPS = {Setting.tiny: 64, Setting.full: 31_488}
HELD_OUT = {Setting.tiny: 32, Setting.full: 512}
STEPS = {Setting.tiny: 4, Setting.full: 9000}
ALIGNING_STEPS = {Setting.tiny: 3, Setting.full: 1500}


@app.command()
def generate(
    data: Data = DATA,
    setting: SettingOption = Setting.full,
    clips: Annotated[int | None, typer.Option(help="Clips to train on; the setting's number if not given.")] = None,
    processes: Annotated[int, typer.Option(min=1)] = 2,
    seed: int = 0,
) -> None:
    """Draw captioned sounds to shards of log-mels: some 40 ms of a core and 128 KB a clip. Goes on where it stopped."""
    from pretrain.generate import generate as generate_clips

    num_clips = CLIPS[setting] if clips is None else clips
    generate_clips(data, num_clips=num_clips, num_held_out=HELD_OUT[setting], seed=seed, processes=processes)


@app.command()
def train(
    data: Data = DATA,
    setting: SettingOption = Setting.full,
    steps: Annotated[int | None, typer.Option(help="Steps in all; the setting's number if not given.")] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="End by this time, the learning rate falling with it.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    bfloat16: Annotated[
        bool, typer.Option(help="Twice as fast where the CPU has AVX-512 BF16, slow elsewhere.")
    ] = False,
    seed: int = 0,
) -> None:
    """Train on the finished shards of DATA, also those finished meanwhile: its cost is in pretrain/README.md.

    Goes on from the last checkpoint in DATA/run; delete that folder to start again.
    """
    from pretrain.alignment import finish
    from pretrain.train import Schedule, Trainer

    schedule = Schedule(
        steps=steps or STEPS[setting], max_minutes=max_minutes, seed=seed, threads=threads, is_bfloat16=bfloat16
    )
    trainer = Trainer(data, data / "run", schedule)
    trainer.train()
    finish(trainer, steps=ALIGNING_STEPS[setting])


@app.command()
def export(data: Data = DATA, model: Model = MODEL) -> None:
    """Write the averaged weights of the last checkpoint to MODEL in transformers' layout."""
    from pretrain.export import export as export_model

    export_model(data / "run", model)
    size = sum(path.stat().st_size for path in model.iterdir())
    typer.echo(f"{model}: {size / 2**20:.1f} MiB")


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Folder with clips.csv (file, fold, label) and audio/, as ESC-10's.")],
    model: Model = MODEL,
    shots: Annotated[int, typer.Option(min=1)] = 16,
    draws: Annotated[int, typer.Option(min=1, help="Random choices of the shots for each fold.")] = 5,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    output: Annotated[Path | None, typer.Option(help="Also write the figures here, as JSON.")] = None,
) -> None:
    """Measure MODEL on real recordings that it never heard: zero-shot, a logistic probe, PALM, and ms a clip."""
    from aspl import FrozenClap
    from pretrain import evaluation

    torch.set_num_threads(threads)
    clap = FrozenClap.load(model)
    figures: dict[str, object] = {"embedding_ms_per_clip": round(evaluation.embedding_ms(clap), 1)}
    typer.echo(f"embedding, batch 8: {figures['embedding_ms_per_clip']} ms a clip on {threads} threads")
    recordings = evaluation.read_recordings(clap, data)
    accuracy, by_label = evaluation.zero_shot(clap, recordings)
    figures |= {"zero_shot": accuracy, "zero_shot_by_label": by_label}
    typer.echo(f"zero-shot, {len(recordings.labels)} clips: {100 * accuracy:.1f} %")
    for label, share in by_label.items():
        typer.echo(f"    {label}: {100 * share:.0f} %")
    probed = evaluation.probe(recordings, shots=shots, draws=draws)
    typer.echo(f"logistic probe, {shots} shots: {probed}")
    learned = evaluation.palm(clap, recordings, shots=shots, draws=draws)
    typer.echo(f"PALM, {shots} shots: {learned}")
    figures |= {"shots": shots, "probe": vars(probed), "palm": vars(learned)}
    if output:
        output.write_text(json.dumps(figures, indent=1) + "\n")


@app.command()
def background(
    directory: Annotated[Path, typer.Option(help="Folder of the bank.")] = BACKGROUND,
    model: Model = MODEL,
    features_only: Annotated[
        bool, typer.Option(help="Keep the clips; hear them anew, after a change of MODEL.")
    ] = False,
) -> None:
    """Write the clips that stand for "anything else", and what MODEL hears of them: about two minutes.

    It hears them as they are, and at the level that adapters hear at, there up to each band too.
    """
    from aspl.background import FEATURES_FILE, Background, hear_background
    from aspl.model.clap import FrozenClap
    from aspl.reach import BANDS_HZ, first_above
    from aspl.sound.level import HEARD_AT_DB
    from pretrain.background import write_background

    if not features_only:
        typer.echo(f"{directory}: {write_background(directory) / 2**20:.1f} MiB")
    torch.set_num_threads(1)
    clap = FrozenClap.load(model)
    levelled = model.with_name(f"{model.name}-levelled")
    levelled.mkdir(exist_ok=True)
    ways = {model / FEATURES_FILE: {}, levelled / FEATURES_FILE: {"level_db": HEARD_AT_DB}}
    for hz in BANDS_HZ:
        band = first_above(hz, clap.mel_centres_hz)
        ways[levelled / f"below-{hz:.0f}-hz.safetensors"] = {"level_db": HEARD_AT_DB, "band": band}
    for path, way in ways.items():
        hear_background(clap, Background.load(directory), **way).save(path)
        typer.echo(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


@app.command(name="all")
def everything(
    data: Data = DATA, setting: SettingOption = Setting.full, model: Model = MODEL, esc10: Path | None = None
) -> None:
    """Generate, train and export; with --esc10 FOLDER, evaluate as well."""
    generate(data, setting)
    train(data, setting)
    export(data, model)
    background(model=model, features_only=True)
    if esc10:
        evaluate(esc10, model)


if __name__ == "__main__":
    app()
