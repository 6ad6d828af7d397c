"""Synthetic sound to disk: shards of float16 log-mels beside the family and the words of each clip."""

import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from aspl.sound.clip import windows
from aspl.sound.log_mel import LogMel
from pretrain.families import FAMILIES
from pretrain.scene import record

SHARD_CLIPS = 256
BATCH_CLIPS = 16
HELD_OUT_SHARD = 100_000  # shards from here on are never trained on


@dataclass(frozen=True)
class Shard:
    """One file of clips: its log-mels `[N, T, M]` float16 in dB, memory-mapped, and what each clip is."""

    log_mel: np.ndarray
    family: np.ndarray
    words: list[list[str]]


def generate(data: Path, *, num_clips: int, num_held_out: int = 512, seed: int = 0, processes: int = 2) -> None:
    """Write clips to `data` until it holds `num_clips` for training and `num_held_out` besides; shards there are kept.

    A clip takes 128 KB.
    """
    data.mkdir(parents=True, exist_ok=True)
    sizes = _shard_sizes(HELD_OUT_SHARD, num_held_out) | _shard_sizes(0, num_clips)
    missing = [k for k in sizes if not _paths(data, k)[1].exists()]
    context = multiprocessing.get_context("spawn")
    with Progress() as progress, ProcessPoolExecutor(processes, mp_context=context) as pool:
        bar = progress.add_task(
            "clips", total=sum(sizes.values()), completed=sum(sizes[k] for k in sizes if k not in missing)
        )
        tasks = [pool.submit(write_shard, data, k, sizes[k], seed) for k in missing]
        for task in as_completed(tasks):
            progress.advance(bar, task.result())


def _shard_sizes(first: int, num_clips: int) -> dict[int, int]:
    starts = range(0, num_clips, SHARD_CLIPS)
    return {first + k: min(SHARD_CLIPS, num_clips - start) for k, start in enumerate(starts)}


def write_shard(data: Path, number: int, num_clips: int, seed: int) -> int:
    """Draw one shard and put it in its place in one step; return its number of clips."""
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, number])
    weights = np.array([family.weight for family in FAMILIES])
    drawn = rng.choice(len(FAMILIES), num_clips, p=weights / weights.sum())
    by_key = {family.key: family for family in FAMILIES}
    front_end, log_mels, words = LogMel(), [], []
    for start in range(0, num_clips, BATCH_CLIPS):
        waves = []
        for index in drawn[start : start + BATCH_CLIPS]:
            wave, heard = record(rng, FAMILIES[index], by_key)
            waves.append(windows(wave)[0][0])  # no recording is longer than the window
            words.append(list(heard))
        log_mels.append(front_end(torch.from_numpy(np.stack(waves)))[:, 0].half().numpy())
    array_path, list_path = _paths(data, number)
    temporary = array_path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.save(file, np.concatenate(log_mels))
    temporary.rename(array_path)
    keys = [FAMILIES[index].key for index in drawn]
    temporary.write_text(json.dumps({"families": keys, "words": words}))
    temporary.rename(list_path)  # last: a shard counts only when its list is there
    return num_clips


def shards(data: Path, *, held_out: bool = False) -> Iterator[Shard]:
    """Yield the finished shards of `data` for training, or those held out."""
    index = {family.key: k for k, family in enumerate(FAMILIES)}
    for list_path in sorted(data.glob("shard-*.json")):
        number = int(list_path.stem.split("-")[1])
        if (number >= HELD_OUT_SHARD) == held_out:
            listed = json.loads(list_path.read_text())
            families = np.array([index[key] for key in listed["families"]])
            yield Shard(np.load(_paths(data, number)[0], mmap_mode="r"), families, listed["words"])


def _paths(data: Path, number: int) -> tuple[Path, Path]:
    return data / f"shard-{number:06d}.npy", data / f"shard-{number:06d}.json"
