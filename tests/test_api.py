"""The public endpoints through gradio_client, and that nothing else is public."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from ganime.checkpoint import EMBEDDED, load_checkpoint
from ganime.latents import Recipe
from ganime.sampling import generate, interpolate
from tests.browser.conftest import serve


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serve(tmp_path_factory.mktemp("home")) as address:
        client = Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("files")))
        yield client
        client.close()


def test_only_generate_and_interpolate_are_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")
    assert sorted(endpoints["named_endpoints"]) == ["/generate", "/interpolate"]
    assert endpoints["unnamed_endpoints"] == {}
    parameters = endpoints["named_endpoints"]["/generate"]["parameters"]
    assert [(entry["parameter_name"], entry["python_type"]["type"]) for entry in parameters] == [
        ("count", "int"), ("seed", "int"), ("truncation", "float")
    ]  # fmt: skip


def test_generate_gives_png_files_with_recipes(client: Client) -> None:
    files = client.predict(count=3, seed=7, truncation=0.8, api_name="/generate")
    expected = generate(load_checkpoint(EMBEDDED), [7, 8, 9], 0.8)
    assert [Path(file).name for file in files] == ["face-7.png", "face-8.png", "face-9.png"]
    for file, face, seed in zip(files, expected, (7, 8, 9), strict=True):
        with Image.open(file) as image:
            recipe = Recipe.from_json(image.info["ganime"])
            assert (recipe.seed, recipe.truncation, recipe.model) == (seed, 0.8, "anime-64")
            assert abs(np.asarray(image).astype(int) - face.astype(int)).max() <= 1


def test_interpolate_gives_a_lossless_walk_there_and_back(client: Client) -> None:
    file = client.predict(start=3, end=14, frames=6, api_name="/interpolate")
    frames = interpolate(load_checkpoint(EMBEDDED), [3, 14], 6)
    with Image.open(file) as walk:
        assert walk.n_frames == 10
        for place, frame in ((0, frames[0]), (5, frames[5]), (9, frames[1])):
            walk.seek(place)
            assert abs(np.asarray(walk.convert("RGB")).astype(int) - frame.astype(int)).max() <= 1


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 65}, {"seed": -1}, {"seed": 2**40}, {"truncation": 7.0}])
def test_nonsense_is_refused_in_words(client: Client, wrong: dict[str, float]) -> None:
    arguments = {"count": 1, "seed": 0, "truncation": 1.0} | wrong
    with pytest.raises(AppError, match=r"number|whole"):
        client.predict(**arguments, api_name="/generate")
