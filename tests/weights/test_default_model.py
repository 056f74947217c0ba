"""The default model's stages, and the table and the card that are written for a model."""

from __future__ import annotations

import re
from dataclasses import replace

from ganime.drawing.directions import Directions
from ganime.measuring.distances import CopyingScore
from ganime.measuring.report import Report
from ganime.models.checkpoint import Checkpoint
from weights.make.default_model import with_facts
from weights.make.default_stages import Stage, card_line
from weights.make.model_card import EXAMPLE_TEXT, PEER, PEER_TEXT, card, parameters_of, table


def test_the_facts_of_all_stages_add_up(tiny: Checkpoint) -> None:
    def model(images: int) -> Checkpoint:
        return replace(tiny, training={"images": images, "seconds": 10, "polished_images": 7})

    line = [(Stage("a", 64, 100), model(100)), (Stage("b", 64, 50), model(60))]
    facts = with_facts(line, faces=5).training
    assert facts == {"recipe": "modern", "images": 160, "seconds": 20, "polished_images": 7, "faces": 5}


def test_a_stage_is_described_with_its_changes_and_a_polished_one_with_its_networks(tiny: Checkpoint) -> None:
    trained = Stage("b", 128, 75_000, 1e-4, 3e-4, recolour=True, eyes="broad")
    assert str(trained) == (
        "128 px, colours at half the side, broad eyes, 75,000 images, batches of 32, learning rates 0.0001 and "
        "0.0003, half-life of the average 10,000 images"
    )
    polished = Stage("c", 128, 70_000, 5e-5, polish=True)
    assert card_line(polished, replace(tiny, training={"polished_through": "x; y"})).endswith("images, through x; y")


def test_the_table_has_a_column_for_each_set_of_faces_and_copies_only_where_they_were_looked_for() -> None:
    report = Report(1000, 1000, 29.1, 0.0174, 0.0104, 0.76, 0.72, 0.88, 0.95, CopyingScore(-1.0, 0.1, 0.002))
    rows = table({"mine": report, PEER: replace(report, copying=None)}).splitlines()
    assert rows[0] == f"| measure | mine | {PEER} | best |"
    assert "| kernel distance x 1000 | 17 ± 10 | 17 ± 10 | 0 |" in rows
    assert rows[-1] == "| near copies of training faces | 0.002 |  | 0.010 by chance |"


def test_the_card_has_the_facts_of_the_model_and_explains_only_the_columns_that_are_there(tiny: Checkpoint) -> None:
    training = {"images": 1234, "polished_images": 56, "faces": 78, "seconds": 7200}
    report = Report(1000, 1000, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    model = replace(tiny, name="mine", training=training)
    directions = Directions("mine", model.revision)
    text = card(model, ["first", "second"], "the table", directions, {PEER: report})
    for fact in ("# mine", "1,234, of 78 training faces", "2.0 hours", "1. first\n2. second", "the table", PEER_TEXT):
        assert fact in text
    assert EXAMPLE_TEXT not in text
    assert f"{parameters_of(model.generator):,} parameters" in text
    assert not re.search(r"{\w+}", text)
