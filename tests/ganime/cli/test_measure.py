"""The command `evaluate`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ganime.cli.common import Answer, assert_refused


def test_evaluate_measures_a_model_and_keeps_the_figures(
    ganime: Callable[..., Answer], tiny_folder: Path, faces_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "figures.json"
    answer = ganime("evaluate", tiny_folder, "--reference", faces_folder, "--count", 64, "--json", path)
    assert answer.status == 0
    assert answer.error == ""
    assert "64 faces against 64 real ones" in answer.out
    figures = json.loads(path.read_text())
    assert figures["frechet"] > 0
    assert 0 <= figures["precision"] <= 1
    assert f"{figures['frechet']:.2f}" in answer.out


def test_evaluate_finds_a_set_of_faces_equal_to_itself(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "figures.json"
    assert ganime("evaluate", faces_folder, "--reference", faces_folder, "--count", 64, "--json", path).status == 0
    figures = json.loads(path.read_text())
    assert figures["frechet"] == pytest.approx(0, abs=1e-3)
    assert (figures["precision"], figures["recall"], figures["coverage"]) == (1, 1, 1)


def test_evaluate_refuses_sets_that_cannot_be_compared(
    ganime: Callable[..., Answer], tiny_folder: Path, faces_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    against = ("--reference", faces_folder)
    assert_refused(ganime("evaluate", tmp_path / "nowhere", *against), "nowhere")
    assert_refused(ganime("evaluate", tiny_folder, "--reference", tmp_path / "empty"), "0 usable faces")
    assert_refused(ganime("evaluate", faces_folder, *against, "--count", 65), "64 pictures", "65")
    assert_refused(ganime("evaluate", tiny_folder, *against, "--split", "--train", faces_folder), "--split")
    assert_refused(ganime("evaluate", tiny_folder, *against, "--truncation", 9), "truncation")


def test_evaluate_refuses_a_reference_that_was_trained_on_and_detects_copies(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path, draw_face: Callable, tmp_path: Path
) -> None:
    answer = ganime("evaluate", tiny_folder, "--reference", faces_folder, "--train", faces_folder)
    assert_refused(answer, "64 faces", "--train", "--split")
    (tmp_path / "others").mkdir()
    for seed in range(100, 130):
        draw_face(seed).save(tmp_path / "others" / f"{seed}.png")
    options = ("--reference", tmp_path / "others", "--train", faces_folder, "--count", 40)
    answer = ganime("evaluate", faces_folder, *options)
    assert answer.status == 0
    assert "copies of training faces" in answer.out


def test_evaluate_counts_repeated_pictures(ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "drawn").mkdir()
    for number in range(40):
        shutil.copy(faces_folder / f"{number % 20:03d}.png", tmp_path / "drawn" / f"{number}.png")
    answer = ganime("evaluate", tmp_path / "drawn", "--reference", faces_folder, "--count", 40)
    assert "40 faces against 64 real ones" in answer.out


def test_evaluate_reports_how_many_faces_a_split_needs(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path
) -> None:
    answer = ganime("evaluate", tiny_folder, "--reference", faces_folder, "--split", "--count", 10)
    assert_refused(answer, "6 faces", "held-out", "about 100 in --reference")
