"""What the Train tab shows of jobs and models: enough to choose by, and no HTML of strangers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.faces.studio import Studio
from app.jobs import speed
from app.jobs.arrivals import Upload
from app.jobs.service import Jobs
from app.jobs.store import RUNNING
from app.tabs import job_view as module
from app.tabs.job_view import archive_file, card_html, count_rows, existing_jobs, job_functions, job_value
from ganime.faces.audit import audit
from ganime.faces.dataset import FaceDataset
from ganime.measuring.copies import NearestFaces
from tests.app.job_helpers import ME, PLAN, change, submitted
from tests.app.tabs.conftest import by_name

Spread = tuple[float, float, float]
HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](https://example.com/b.png) <https://example.com>"


def test_a_card_is_shown_without_html_links_or_pictures_of_strangers() -> None:
    html = card_html(f"---\ntags: [gan]\n---\n# {HOSTILE}\n\n| | |\n|---|---|\n| Faces | 22 |\n")
    assert "<td>22</td>" in html
    assert "<h1>&lt;img src=x" in html
    assert not [tag for tag in ("<img", "<a ", "tags:") if tag in html]


def test_a_card_has_the_visitors_name_for_the_model(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files, plan=replace(PLAN, name="Mine <b>"))
    shutil.copytree(tiny_folder, jobs.folder(key).run / "saves" / "best")
    assert "<h1>Mine &lt;b&gt;</h1>" in card_html(jobs.card(key))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("My big one", "My-big-one.zip"),
        ("../<b>Rote Haare / rötlich</b>", "b-Rote-Haare-rötlich-b.zip"),
        ("2026", "2026.zip"),
        ("हिंदी बाल", "हिंदी-बाल.zip"),
        ("ro\N{COMBINING DIAERESIS}tlich", "rötlich.zip"),
        ("..?", "ganime-model.zip"),
        ("", "ganime-model.zip"),
    ],
)
def test_a_model_that_is_downloaded_has_its_name_and_brings_it_back(
    name: str, file: str, studio: Studio, files: list[Upload], tiny_folder: Path, tmp_path: Path
) -> None:
    jobs = studio.jobs
    assert jobs
    key = jobs.draft(files, ME, 32)
    shutil.copytree(tiny_folder, jobs.folder(key).run / "saves" / "best")
    with jobs.changing(key) as (_, row):
        row.name = name
    called, data = archive_file(jobs)(key)
    assert called == file
    (tmp_path / "upload").write_bytes(data)
    assert studio.library.load_file(tmp_path / "upload", called).name == (name or "ganime-model")


def test_a_comparison_reports_progress_and_gives_its_place_back_when_it_is_left(
    studio: Studio, files: list[Upload], faces: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = faces.images[:16].reshape(2, 8, 32, 32, 3)
    found = NearestFaces(*pairs, np.arange(8), np.ones(8), np.full(8, 0.5), 100, 1_000)  # type: ignore[misc]
    monkeypatch.setattr(module, "nearest_training_faces", lambda studio, key: iter([0.2, 0.7, found]))
    monkeypatch.setattr(studio.work, "slice_seconds", 0.0)
    jobs = studio.jobs
    assert jobs
    key, ask = jobs.draft(files, ME, 32), by_name(job_functions(studio, jobs))
    assert "no such job" in ask["nearest"]([key[:-4] + "aaaa"])["error"]
    begun = ask["nearest"]([key])["work"]
    answers = [ask["ask"]([begun]) for _ in range(3)]
    assert [answer.get("progress") for answer in answers] == [0.2, 0.7, None]
    assert "1,000 training faces" in answers[2]["text"]
    assert answers[2]["urls"]
    assert all(url.startswith("data:image/webp") for url in answers[2]["urls"])
    left = ask["nearest"]([key])["work"]
    assert ask["leave"]([left]) == {}
    assert "ended" in ask["ask"]([left])["error"]
    assert "work" in ask["nearest"]([key])


@pytest.mark.parametrize(
    ("widths", "heights", "rows"),
    [
        ((128.0, 128.0, 128.0), (96.0, 96.0, 96.0), [("Size of the pictures", "128 x 96 px")]),
        ((64.0, 70.0, 512.0), (96.0, 96.0, 96.0), [("Width", "64 to 512 px"), ("Height", "96 to 96 px")]),
    ],
)
def test_pictures_of_one_size_have_one_row_for_it(
    faces: FaceDataset, widths: Spread, heights: Spread, rows: list[tuple[str, str]]
) -> None:
    report = replace(audit(faces), widths=widths, heights=heights)
    assert count_rows(report)[-len(rows) :] == rows
    assert not {"Size", "Width", "Height"} & {name for name, _ in count_rows(report)[: -len(rows)]}


def test_only_jobs_of_the_given_keys_are_listed(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    mine, waiting, others = (submitted(jobs, files, plan=replace(PLAN, name=name)) for name in ("one", "two", "three"))
    shutil.copytree(tiny_folder, jobs.folder(mine).run / "saves" / "best")
    shutil.copytree(tiny_folder, jobs.folder(others).run / "saves" / "best")
    asked = [mine, waiting, others[:-4] + "aaaa", others.partition(".")[0], "../.."]
    assert [(job["key"], job["name"], job["has_model"]) for job in existing_jobs(jobs)(asked)["jobs"]] == [
        (mine, "one", True),
        (waiting, "two", False),
    ]


def test_a_job_that_waits_counts_what_follows_the_training_of_those_before_it(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = open_jobs("mock", start=False)
    first, _, third = (submitted(jobs, files) for _ in range(3))
    assert job_value(jobs, first)["wait"] == 0
    change(jobs, first, state=RUNNING, started=time.time())
    assert job_value(jobs, third)["wait"] == 2 * PLAN.minutes * 60
    monkeypatch.setattr(speed, "after_training", lambda *_: {"measuring": 20.0, "saving": 40.0})
    assert job_value(jobs, third)["wait"] == 2 * PLAN.minutes * 60 + 120


@pytest.mark.parametrize("arguments", [None, [], [7], ["x"], [["x"] * 51], ["x", -1], ["x", 10**9], {"key": "x"}])
def test_nonsense_asked_about_jobs_is_answered_in_words(studio: Studio, arguments: object) -> None:
    assert studio.jobs
    for function in by_name(job_functions(studio, studio.jobs)).values():
        answer = function(arguments)
        assert answer in ({"jobs": []}, {}) or len(answer["error"]) > 15  # leaving ended work is harmless
