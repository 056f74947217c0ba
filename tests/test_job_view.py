"""What the Train tab is told of jobs and models: enough to choose by, and nothing of strangers as HTML."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.job_view import card_html, mine_of
from app.jobs import Jobs
from app.uploads import Upload
from tests.test_jobs import PLAN, files, open_jobs, settings, submitted

__all__ = ["files", "open_jobs", "settings"]  # fixtures
HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](https://example.com/b.png) <https://example.com>"


def test_card_is_shown_as_markdown_without_html_links_or_pictures_of_strangers() -> None:
    html = card_html(f"---\ntags: [gan]\n---\n# {HOSTILE}\n\n| | |\n|---|---|\n| Faces | 22 |\n")
    assert "<td>22</td>" in html
    assert "<h1>&lt;img src=x" in html
    assert not [tag for tag in ("<img", "<a ", "tags:") if tag in html]


def test_card_bears_the_name_that_the_visitor_gave(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files, plan=replace(PLAN, name="Mine <b>"))
    shutil.copytree(tiny_folder, jobs.folder(key).run / "saves" / "best")
    assert "<h1>Mine &lt;b&gt;</h1>" in card_html(jobs.card(key))


def test_models_to_choose_from_are_those_of_the_keys_alone(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    mine, waiting, others = (submitted(jobs, files, plan=replace(PLAN, name=name)) for name in ("one", "two", "three"))
    shutil.copytree(tiny_folder, jobs.folder(mine).run / "saves" / "best")
    shutil.copytree(tiny_folder, jobs.folder(others).run / "saves" / "best")
    asked = [mine, waiting, others[:-4] + "aaaa", others.partition(".")[0], "../.."]
    assert [(job["key"], job["name"], job["has_model"]) for job in mine_of(jobs)(asked)["jobs"]] == [
        (mine, "one", True),
        (waiting, "two", False),
    ]
