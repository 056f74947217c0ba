"""How well and how fast faces are chosen and projected: two tables for every model.

`python -m benchmarks.exploring [--model weights/anime-128] [--mode choose] [--threads 1]`

choose: eight faces with each hair colour, several times with other first seeds. The table has the share of faces with
that colour by the attribute network, and how many had to be searched for.
project: pictures that the model drew itself. The table has the percentile, among random pairs of faces, of the distance
at which the nearest face was found.
With one thread, seconds of the processor are also valid on a busy machine.
"""

from __future__ import annotations

import time
from typing import Annotated, Literal

import numpy as np
import torch
import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.drawing.attribute_search import ChosenFaces, choose_faces
from ganime.drawing.direction_search import group
from ganime.drawing.projection import Projection, project
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import Checkpoint
from ganime.models.hub import open_model
from ganime.nets.anime_features import FeatureNet, load_features

FACES = 8  # requested at a time
SEEDS_APART = 1_000_000  # between the first seeds of two rounds
FIRST_PICTURE = 5_000  # the first seed of the faces that are projected


def choose_row(model: Checkpoint, net: FeatureNet, attribute: str, rounds: int) -> str:
    """A row of the first table: the share of faces with an attribute, the number of searched ones, the seconds."""
    begun = time.process_time()
    results = [list(choose_faces(model, net, [attribute], FACES, seed * SEEDS_APART))[-1] for seed in range(rounds)]
    worked = (time.process_time() - begun) / rounds
    choices = [choice for choice in results if isinstance(choice, ChosenFaces)]
    shares = [float(choice.carries.mean()) for choice in choices]
    seconds = [choice.seconds for choice in choices]
    return (
        f"| {attribute.replace('_', ' ')} | {np.mean(shares):.0%} | {min(shares):.0%} "
        f"| {sum(choice.searched for choice in choices)} of {FACES * rounds} | {worked:.1f} | {np.median(seconds):.1f} "
        f"| {max(seconds):.1f} |"
    )


def project_row(model: Checkpoint, net: FeatureNet, seed: int) -> str:
    """A row of the second table: how near a face that the model drew is found again."""
    [picture] = generate(model, [seed])
    begun = time.process_time()
    last = list(project(model, net, picture))[-1]
    worked = time.process_time() - begun
    assert isinstance(last, Projection)
    near = f"{last.distance:.2f} | {last.typical:.2f} | {last.percentile:.2f}"
    return f"| {seed} | {near} | {worked:.1f} | {last.seconds:.1f} |"


def main(
    model: Annotated[list[str] | None, typer.Option(help="A model to measure; may be given several times.")] = None,
    mode: Annotated[Literal["choose", "project", "both"], typer.Option()] = "both",
    rounds: Annotated[int, typer.Option(help="Searches for each hair colour.")] = 3,
    faces: Annotated[int, typer.Option(help="Faces to project.")] = 8,
    threads: int = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print both tables for every model; without --model, for the embedded one."""
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
                "| colour | have it | least in a round | searched for | CPU s | median s | longest s |\n"
                + "|---" * 7
                + "|"
            )
            for colour in colours:
                print(choose_row(checkpoint, net, colour, rounds), flush=True)
        if mode != "choose":
            print(f"\n{about}: its own faces projected\n")
            print("| seed | distance | of random pairs, median | percentile | CPU s | s |\n" + "|---" * 6 + "|")
            for seed in range(FIRST_PICTURE, FIRST_PICTURE + faces):
                print(project_row(checkpoint, net, seed), flush=True)


if __name__ == "__main__":
    typer.run(main)
