"""Files that were truncated, had a byte flipped, or were swapped with another, of every kind."""

import os
import random
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults import kills, phases
from tests.faults.project import Outcome, Project, State, line

RUN = "runs/digits/{}/fold-0/inlier-{}/seed-0"
RUNS = [RUN.format(method, inlier) for method in ("gradcon", "dcae") for inlier in (0, 1)]
KINDS: dict[str, list[str]] = {
    "images": ["data/digits/images.npy", "data/digits/labels.npy"],
    "data set's description": ["data/digits/dataset.json", "splits/digits/fold-0.json"],
    "split": ["splits/digits/fold-0.parquet", f"{RUNS[0]}/scores.parquet"],
    "weights": [f"{run}/weights/best.safetensors" for run in RUNS],
    "scores": [f"{run}/scores.parquet" for run in RUNS],
    "milestones' scores": [f"{run}/epochs.parquet" for run in RUNS],
    "history": [f"{run}/history.csv" for run in RUNS],
    "reconstructions": [f"{run}/reconstructions.npz" for run in RUNS],
    "run.json": [f"{run}/run.json" for run in RUNS],
    "metrics": [f"metrics/{name}.parquet" for name in ("metrics", "runs", "histograms")],
    "verdicts": [f"verdicts/{name}.parquet" for name in ("numbers", "claims", "selection")],
    "tables": [f"tables/{name}-digits.csv" for name in ("auroc", "ablation", "selection")],
    "figures": [f"figures/{name}-digits.png" for name in ("histograms", "beta", "epochs")],
    "report": ["report/index.html", "tables/auroc-digits.html"],
    "hashes": [f"logs/{name}.sha256" for name in ("tables", "figures")],
}
"""Files of each kind, below the results; the first is damaged, or any if all are of that kind."""

MIXED = ("images", "data set's description", "split", "report")
"""Kinds of which only the first file is damaged."""

WAYS = ("truncated", "flipped", "swapped")
CHECKPOINT = "checkpoint"


def faults(each: int) -> Iterator[tuple[str, kills.Fault]]:
    """Each kind of file damaged in each way, or in one if ``each`` is 1; with names."""
    for number, kind in enumerate([*KINDS, CHECKPOINT]):
        for way in WAYS if each > 1 else [WAYS[number % len(WAYS)]]:
            if (way, kind) == ("swapped", "hashes"):
                continue  # each says what it says, wherever it is
            damage = _checkpoint if kind == CHECKPOINT else partial(_file, kind)
            yield f"{way}, {kind}", partial(damage, way)


def damage(way: str, file: Path, other: Path, rng: random.Random) -> None:
    """Damage a file, at random without a change of its time, as a disk does."""
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    content = bytearray(file.read_bytes())
    if way == "swapped":
        file.write_bytes(other.read_bytes())
        other.write_bytes(content)
    elif way == "flipped":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(content)
    else:
        file.write_bytes(content[: rng.randrange(len(content))])
    if rng.random() < 0.5:
        os.utime(file, ns=times)


def _file(
    kind: str, way: str, project: Project, kept: Path, undisturbed: State, rng: random.Random
) -> Outcome:
    project.restore(kept)
    files = KINDS[kind]
    # Those that are swapped differ.
    name = files[0] if kind in MIXED else rng.choice(files)
    other = rng.choice([file for file in files if file != name])
    damage(way, project.root / name, project.root / other, rng)
    call = project.finish()
    # A hash that is damaged says so of the file that it is of.
    where = "" if kind == "hashes" else name
    said = line(lambda text: where in text and re.search("changed|damaged", text), call.output)
    return kills.judged(way, kind, said, project, undisturbed, call)


def _checkpoint(
    way: str, project: Project, kept: Path, undisturbed: State, rng: random.Random
) -> Outcome:
    """Of a training that was killed; the other one is of another class."""
    inliers = (0, 1) if way == "swapped" else ()
    for _ in range(kills.TRIES):
        kills.struck(project, kept, phases.TRAINING, rng, kills.kill, inliers)
        checkpoints = list(project.root.glob("runs/**/training-*.safetensors"))
        if len(checkpoints) >= len(inliers):
            break
    else:
        raise RuntimeError("the classes had never a checkpoint at the same time")
    rng.shuffle(checkpoints)
    damage(way, checkpoints[0], checkpoints[-1], rng)
    call = project.finish()
    logs = [log.read_text() for log in project.root.glob("logs/runs/**/*.log")]
    said = line(lambda text: "starts over" in text, *logs)
    return kills.judged(way, CHECKPOINT, said, project, undisturbed, call)
