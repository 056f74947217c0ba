"""How well faces are chosen and projected, and how long it takes: a table of each for every model.

`python -m benchmarks.exploring [--model weights/anime-64] [--mode choose] [--threads 1]`

choose: eight faces with each hair colour, several times from other seeds on; the share that carries it by the attribute
network, and how many of them had to be searched for. project: faces that the model drew itself, given back to it as
pictures; the percentile of the distance among random pairs at which the nearest face was found. Seconds of the
processor hold on a busy machine as well, with one thread.
"""

from __future__ import annotations

import time
from typing import Annotated, Literal

import numpy as np
import torch
import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.drawing.attribute_search import Choice, choose
from ganime.drawing.direction_search import group
from ganime.drawing.projection import Projection, project
from ganime.drawing.sampling import generate
from ganime.models.checkpoint import EMBEDDED, Checkpoint
from ganime.models.hub import open_model
from ganime.nets.anime_features import FeatureNet, load_features

FACES = 8  # that are asked for at a time
APART = 1_000_000  # between the first seeds of two rounds
PICTURES = 5_000  # the first seed of the faces that are projected


def chosen(model: Checkpoint, net: FeatureNet, attribute: str, rounds: int) -> str:
    """A row of the table: the share of faces with an attribute, the searched ones among them, the seconds."""
    begun = time.process_time()
    found = [list(choose(model, net, [attribute], FACES, seed * APART))[-1] for seed in range(rounds)]
    worked = (time.process_time() - begun) / rounds
    choices = [choice for choice in found if isinstance(choice, Choice)]
    shares = [float(choice.carries.mean()) for choice in choices]
    seconds = [choice.seconds for choice in choices]
    return (
        f"| {attribute.replace('_', ' ')} | {np.mean(shares):.0%} | {min(shares):.0%} "
        f"| {sum(choice.searched for choice in choices)} of {FACES * rounds} | {worked:.1f} | {np.median(seconds):.1f} "
        f"| {max(seconds):.1f} |"
    )


def projected(model: Checkpoint, net: FeatureNet, seed: int) -> str:
    """A row of the table: where a face that the model drew is found again."""
    [picture] = generate(model, [seed])
    begun = time.process_time()
    last = list(project(model, net, picture))[-1]
    worked = time.process_time() - begun
    assert isinstance(last, Projection)
    near = f"{last.distance:.2f} | {last.typical:.2f} | {last.percentile:.2f}"
    return f"| {seed} | {near} | {worked:.1f} | {last.seconds:.1f} |"


def main(
    model: Annotated[list[str] | None, typer.Option(help="Models to measure; several times.")] = None,
    mode: Annotated[Literal["choose", "project", "both"], typer.Option()] = "both",
    rounds: Annotated[int, typer.Option(help="Times that each hair colour is asked for.")] = 3,
    faces: Annotated[int, typer.Option(help="Faces that are projected.")] = 8,
    threads: int = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print a table of each for every model; without --model, for the embedded one."""
    if threads:
        torch.set_num_threads(threads)
    net = load_features()
    colours = [name for name in net.attributes if group(name) == "hair colour"]
    for name in model or [str(EMBEDDED)]:
        checkpoint = open_model(name, home / "hub")
        about = f"{checkpoint.name}, {torch.get_num_threads()} threads"
        if mode != "project":
            print(f"\n{about}: {FACES} faces with a hair colour, {rounds} times each\n")
            print(
                "| asked for | carry it | least of a time | searched for | CPU s | median s | longest s |\n"
                + "|---" * 7
                + "|"
            )
            for colour in colours:
                print(chosen(checkpoint, net, colour, rounds), flush=True)
        if mode != "choose":
            print(f"\n{about}: faces of its own projected\n")
            print("| seed | distance | of random pairs, median | percentile | CPU s | s |\n" + "|---" * 6 + "|")
            for seed in range(PICTURES, PICTURES + faces):
                print(projected(checkpoint, net, seed), flush=True)


if __name__ == "__main__":
    typer.run(main)
