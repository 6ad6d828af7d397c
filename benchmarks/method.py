"""What the method costs, each figure a ratio or a time of one run: `python -m benchmarks.method`.

Full-size HTSAT-tiny with random weights, since none of these figures depends on what the weights know; the bundled size
where `--small` is given.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from transformers import ClapConfig, ClapModel

from aspl import Adapter, AudioPrompts, FrozenClap
from aspl.fitting.config import TrainingConfig, recipe_for
from aspl.fitting.learner import Learner
from aspl.prompts.audio import Affine
from aspl.prompts.audio_parameters import AudioParameters
from aspl.prompts.text import make_text_prompt
from benchmarks.figures import Figure, report, show
from benchmarks.machine import describe_machine
from tests.small_clap import write_small_clap

NUM_ROWS = 32
NUM_CLIPS, NUM_EPOCHS = 160, 100
LABELS = [f"sound number {index}" for index in range(10)]


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


def mixed_batch(clap: FrozenClap, rounds: int, micro_batch: int) -> Figure:
    log_mels = clap.log_mel(0.1 * torch.randn(NUM_ROWS, 480_000))
    adapters = [moved_prompts(clap, row).to(clap.device) for row in range(NUM_ROWS)]

    def encode(prompts: list[AudioPrompts | None]) -> None:
        with torch.inference_mode():
            for start in range(0, NUM_ROWS, micro_batch):
                part = slice(start, start + micro_batch)
                clap.encode_audio(log_mels[part], AudioPrompts.stack(prompts[part]))

    value = ratio(lambda: encode(adapters), lambda: encode([None] * NUM_ROWS), rounds)
    return Figure("32 rows of 32 ASPL* adapters against 32 bare rows", value, "x", 1.03)


def training_step(clap: FrozenClap, rounds: int, micro_batch: int) -> Figure:
    log_mels = clap.log_mel(0.1 * torch.randn(micro_batch, 480_000))
    parameters = AudioParameters(clap, "aspl_star", spectral_units="batch_norm")

    def forward() -> None:
        with torch.inference_mode():
            clap.encode_audio(log_mels)

    def step() -> None:
        clap.encode_audio(log_mels, parameters.prompts()).sum().backward()

    return Figure("training step with ASPL* against the forward pass", ratio(step, forward, rounds), "x", 1.8)


def palm_training(clap: FrozenClap) -> Figure:
    """Time 100 epochs of PALM on embeddings that are at hand."""
    recipe = recipe_for(TrainingConfig(audio_prompt="none"))
    embeddings = torch.nn.functional.normalize(torch.randn(NUM_CLIPS, clap.joint_width), dim=-1).to(clap.device)
    learner = Learner(
        make_text_prompt("palm", clap, LABELS),
        None,
        recipe,
        None,
        classes=torch.arange(NUM_CLIPS, device=clap.device) % len(LABELS),
        clips=np.arange(NUM_CLIPS),
        embeddings=embeddings,
        prompts=AudioPrompts(),
        logit_scale=clap.logit_scale,
        num_epochs=NUM_EPOCHS,
        seed=0,
        tick=lambda: None,
    )
    return Figure("PALM, 160 clips, 100 epochs, after embedding", _seconds(lambda: list(learner.epochs())), "s", 2.0)


def adapter_memory(clap: FrozenClap) -> list[Figure]:
    static = Adapter.zero_shot(clap, LABELS).size_bytes + sum(
        affine.gamma.nbytes + affine.beta.nbytes
        for affine in AudioPrompts.identity(clap, "aspl_star").stages().values()
    )
    cocoop = sum(parameter.nbytes for parameter in make_text_prompt("cocoop", clap, LABELS).parameters())
    return [
        Figure("memory of a static adapter of 10 labels", static / 1024, "KiB", 64),
        Figure("memory of a CoCoOp adapter of 10 labels", cocoop / 1024, "KiB", 256),
        Figure("file of a static adapter of 100 labels", _file_bytes(clap, 100) / 2**20, "MiB", 1),
    ]


def _file_bytes(clap: FrozenClap, num_labels: int) -> int:
    return len(Adapter.zero_shot(clap, [f"sound number {index}" for index in range(num_labels)]).to_bytes())


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
        mixed_batch(clap, arguments.rounds, micro_batch),
        training_step(clap, arguments.rounds, micro_batch),
        palm_training(clap),
        *adapter_memory(clap),
    ]
    if arguments.small:
        show(figures)
    else:
        report(figures, "method", machine=machine, device=arguments.device, micro_batch=micro_batch)


if __name__ == "__main__":
    main()
