"""Errors of the page: visitors learn what is wrong, and nothing about the folders of this machine."""

from __future__ import annotations

import pytest

from app.errors import visitor_text
from ganime.errors import HUB_OFFLINE, GanimeError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/ganime/public-hub/snapshots/14c9/config.json cannot be read", "config.json cannot be read"),
        ("[Errno 17] File exists: '/data/ganime/refs/x'", "[Errno 17] File exists: 'x'"),
        ("The cache /data/ganime/hub cannot be used.", "The cache hub cannot be used."),
        ("config.json (/home/me/model/config.json: latent_dim)", "config.json (config.json: latent_dim)"),
        (
            "Use owner/name or https://huggingface.co/owner/name.",
            "Use owner/name or https://huggingface.co/owner/name.",
        ),
        ("9 images/s, 1/2 done", "9 images/s, 1/2 done"),
        (f"{HUB_OFFLINE} There is no copy.", "This page cannot reach the Hugging Face hub. There is no copy."),
    ],
)
def test_a_visitor_sees_the_last_name_of_a_path_and_nothing_for_the_owner(text: str, expected: str) -> None:
    assert visitor_text(GanimeError(text)) == expected
