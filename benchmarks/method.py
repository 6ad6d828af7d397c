"""What the method costs, each figure a ratio or a time of one run: `python -m benchmarks.method`.

Full-size HTSAT-tiny with random weights, since none of these figures depends on what the weights know; the bundled size
where `--small` is given.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from transformers import ClapConfig, ClapModel

from aspl import Adapter, AudioPrompts, FrozenClap, fit
from aspl.background import shipped_library
from aspl.features import AudioFeatures
from aspl.fitting.config import TrainingConfig
from aspl.fitting.learner import Learner, LearnerInputs
from aspl.fitting.recipe import recipe_for
from aspl.heads.linear import LinearHead
from aspl.inference import score
from aspl.known import SENSITIVITIES, KnownRule
from aspl.methods import METHODS
from aspl.prompts.audio import Affine
from aspl.prompts.audio_parameters import AudioParameters
from aspl.sound.level import HEARD_AT_DB
from benchmarks.figures import Figure, report, show
from benchmarks.machine import describe_machine
from tests.small_clap import write_small_clap

NUM_ROWS = 32
NUM_CLIPS, NUM_EPOCHS = 160, 100
NUM_JOB_CLIPS = 40
LABELS = [f"sound number {index}" for index in range(10)]
MAX_FILE_MIB = 16  # that a service imports by itself


def full_size_clap(directory: Path) -> FrozenClap:
    """Return a CLAP of LAION's size (HTSAT-tiny, RoBERTa-base) with random weights and a small tokenizer."""
    write_small_clap(directory)
    torch.manual_seed(0)
    config = ClapConfig(audio_config={"depths": [2, 2, 6, 2], "num_attention_heads": [4, 8, 16, 32]})
    ClapModel(config).save_pretrained(directory)
    return FrozenClap.load(directory)


def moved_prompts(clap: FrozenClap, seed: int) -> AudioPrompts:
    generator = torch.Generator().manual_seed(seed)

    def near(values: torch.Tensor) -> torch.Tensor:
        return values + 0.05 * torch.randn(values.shape, generator=generator)

    stages = AudioPrompts.identity(clap, "aspl_star").stages()
    return AudioPrompts(**{stage: Affine(near(affine.gamma), near(affine.beta)) for stage, affine in stages.items()})


def ratio(slow: Callable[[], object], plain: Callable[[], object], rounds: int) -> float:
    """Return the median over rounds of the time of `slow` to that of `plain`, which take turns."""
    slow(), plain()
    return statistics.median(_seconds(slow) / _seconds(plain) for _ in range(rounds))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ridge_adapter(clap: FrozenClap, seed: int, labels: list[str], *, prompts: AudioPrompts | None = None) -> Adapter:
    """Return an adapter with a closed-form head of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    shapes = LinearHead.shapes(len(labels), clap)
    tensors = {name: (0.01 * torch.randn(shape, generator=generator)).to(clap.device) for name, shape in shapes.items()}
    rows = {name: (0.5,) * len(labels) for name in SENSITIVITIES}
    return replace(
        Adapter.zero_shot(clap, labels),
        head=LinearHead.load(tensors, labels, clap),
        prompts=prompts,
        audio_prompt="none" if prompts is None else prompts.kind,
        method="ridge",
        known=KnownRule(1.0, 0.0, rows["balanced"], rows),
    )


def mixed_batch(clap: FrozenClap, rounds: int, micro_batch: int) -> list[Figure]:
    log_mels = clap.log_mel(0.1 * torch.randn(NUM_ROWS, 480_000))
    prompts = [moved_prompts(clap, row).to(clap.device) for row in range(NUM_ROWS)]
    adapters = [ridge_adapter(clap, row, LABELS, prompts=each) for row, each in enumerate(prompts)]

    def encode(prompts: list[AudioPrompts | None], *, stages: bool = False) -> AudioFeatures:
        parts = []
        with torch.inference_mode():
            for start in range(0, NUM_ROWS, micro_batch):
                part = slice(start, start + micro_batch)
                parts.append(clap.hear(log_mels[part], AudioPrompts.stack(prompts[part]), stages=stages))
        return AudioFeatures.cat(parts)

    def answer() -> None:
        score(encode(prompts, stages=True), adapters)

    def bare() -> AudioFeatures:
        return encode([None] * NUM_ROWS)

    return [
        Figure(
            "32 rows of 32 ASPL* adapters against 32 bare rows", ratio(lambda: encode(prompts), bare, rounds), "x", 1.03
        ),
        Figure("the same with closed-form heads, their statistics and scores", ratio(answer, bare, rounds), "x", 1.03),
        Figure(
            "statistics of the stages, with against without",
            ratio(lambda: encode([None] * NUM_ROWS, stages=True), bare, rounds),
            "x",
            1.03,
        ),
    ]


def default_job(clap: FrozenClap, *, is_full_size: bool) -> Figure:
    """Time the default fit of 40 clips of 5 s, from waveforms to an adapter that is loaded from its file."""
    generator = np.random.default_rng(0)
    clips = [(0.1 * generator.standard_normal(5 * 48_000)).astype(np.float32) for _ in range(NUM_JOB_CLIPS)]
    labels = [LABELS[index % len(LABELS)] for index in range(NUM_JOB_CLIPS)]
    shipped_library().features(clap, level_db=HEARD_AT_DB)  # heard once for a model, whatever is taught

    def job() -> None:
        Adapter.from_bytes(fit(clap, clips, labels).to_bytes(), clap)

    job()
    value = statistics.median(_seconds(job) for _ in range(3))
    bar = 4.0 if is_full_size else 1.5
    return Figure("default fit of 40 clips of 5 s, from waveforms to a loaded adapter", value, "s", bar)


def training_step(clap: FrozenClap, rounds: int, micro_batch: int) -> Figure:
    log_mels = clap.log_mel(0.1 * torch.randn(micro_batch, 480_000))
    parameters = AudioParameters(clap, "aspl_star", spectral_units="batch_norm")

    def forward() -> None:
        with torch.inference_mode():
            clap.encode_audio(log_mels)

    def step() -> None:
        clap.encode_audio(log_mels, parameters.prompts()).sum().backward()

    return Figure("training step with ASPL* against the forward pass", ratio(step, forward, rounds), "x", 2.4)


def palm_training(clap: FrozenClap) -> Figure:
    """Time 100 epochs of PALM on embeddings that are at hand."""
    recipe = recipe_for(TrainingConfig(audio_prompt="none"))
    embeddings = torch.nn.functional.normalize(torch.randn(NUM_CLIPS, clap.joint_width), dim=-1).to(clap.device)
    classes = torch.arange(NUM_CLIPS, device=clap.device) % len(LABELS)
    learner = Learner(
        METHODS["palm"].untrained(clap, LABELS),
        None,
        recipe,
        LearnerInputs(None, classes, np.arange(NUM_CLIPS), clap.logit_scale, AudioFeatures(embeddings)),
        num_epochs=NUM_EPOCHS,
        seed=0,
        tick=lambda: None,
    )
    return Figure("PALM, 160 clips, 100 epochs, after embedding", _seconds(lambda: list(learner.epochs())), "s", 2.0)


def adapter_memory(clap: FrozenClap) -> list[Figure]:
    prompts = AudioPrompts.identity(clap, "aspl_star")
    curves = 2 * 4 * (len(LABELS) + 1) * clap.mel_bins  # what the clips that it was taught with sounded like
    ridge = ridge_adapter(clap, 0, LABELS, prompts=prompts)
    ridge = replace(ridge, head=ridge.head.halved())  # as a fit keeps it
    words = replace(Adapter.zero_shot(clap, LABELS), prompts=prompts)
    guard = sum(tensor.nbytes for tensor in ridge.head.tensors().values())
    cocoop = sum(parameter.nbytes for parameter in METHODS["cocoop"].untrained(clap, LABELS).parameters())
    in_memory = {
        "a closed-form adapter": (ridge.size_bytes, 160),
        "an adapter of words alone": (words.size_bytes, 64),
        "the same with what knows the unknown": (words.size_bytes + guard, None),
        "a CoCoOp adapter with what knows the unknown": (cocoop + prompts_bytes(prompts) + guard, None),
    }
    return [
        *(
            Figure(f"memory of {name}, 10 labels", (size + curves) / 1024, "KiB", bar)
            for name, (size, bar) in in_memory.items()
        ),
        *(
            Figure(f"file of a closed-form adapter of {count} labels", _file_bytes(clap, count) / 2**20, "MiB", bar)
            for count, bar in ((100, 1), (1000, MAX_FILE_MIB))
        ),
    ]


def prompts_bytes(prompts: AudioPrompts) -> int:
    return sum(affine.gamma.nbytes + affine.beta.nbytes for affine in prompts.stages().values())


def _file_bytes(clap: FrozenClap, num_labels: int) -> int:
    adapter = ridge_adapter(clap, 0, [f"sound number {index}" for index in range(num_labels)])
    return len(replace(adapter, head=adapter.head.halved()).to_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--micro-batch", type=int, help="clips in one pass (4 on a CPU, 32 on a GPU)")
    parser.add_argument("--small", action="store_true", help="a model of 16 channels: to see that the benchmark runs")
    arguments = parser.parse_args()
    machine = describe_machine()
    micro_batch = arguments.micro_batch or (4 if arguments.device == "cpu" else NUM_ROWS)
    with TemporaryDirectory() as directory:
        path = Path(directory)
        clap = FrozenClap.load(write_small_clap(path)) if arguments.small else full_size_clap(path)
    clap.to(arguments.device)
    figures = [
        *mixed_batch(clap, arguments.rounds, micro_batch),
        training_step(clap, arguments.rounds, micro_batch),
        palm_training(clap),
        *adapter_memory(clap),
        default_job(clap, is_full_size=not arguments.small),
    ]
    if arguments.small:
        show(figures)
    else:
        report(figures, "method", machine=machine, device=arguments.device, micro_batch=micro_batch)


if __name__ == "__main__":
    main()
