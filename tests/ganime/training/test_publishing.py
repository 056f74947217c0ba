"""Publishing: what arrives on the hub, what its card says, and which models are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from ganime.config import ModelConfig
from ganime.errors import CheckpointError, ConfigError, HubError
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.hub import pull
from ganime.models.published_card import FIGURES, Contents, Statement, published_card
from ganime.models.upload import Target, Uploaded
from ganime.nets.dcgan import Generator
from ganime.training.events import Measured, Verdict, record
from ganime.training.publishing import model_to_publish, publish, write_publication
from tests.hub_server import HubServer

TOKEN, REPO = "hf_ada", "ada/faces"
STATEMENT = Statement("Drawn by\n# a program", "mit")
MEASURED = Measured(200, 500, 64, 31.25, 0.02, 0.7, 0.6, 0.9, 0.95, 0.012, -0.5, 0.1, best=True, fresh=60)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        server.accounts = {TOKEN: "ada"}
        yield server


@pytest.fixture
def run(tiny: Checkpoint, steered_folder: Path, tmp_path: Path) -> Path:
    """A run whose best save was measured, with two directions beside it; later it began to copy."""
    folder = tmp_path / "run"
    facts = {"recipe": "modern", "images": 200, "start": "anime-64", "frechet": 31.25}
    save_checkpoint(replace(tiny, training=facts), folder / "saves" / "best")
    for name in ("directions.json", "directions.safetensors"):
        shutil.copyfile(steered_folder / name, folder / "saves" / "best" / name)
    record(folder, MEASURED)
    record(folder, Verdict(200, "healthy", "it learns", "Go on."))
    record(folder, Verdict(300, "copying", "it copies", "Stop.", "stop"))
    return folder


def published(source: Path, hub: HubServer, repo_id: str = REPO, **more: Any) -> Uploaded:
    target = Target(repo_id, endpoint=hub.endpoint)
    *_, uploaded = publish(model_to_publish(source), target, more.pop("statement", STATEMENT), TOKEN, **more)
    assert isinstance(uploaded, Uploaded)
    return uploaded


@pytest.mark.usefixtures("waits")
def test_published_model_draws_the_same_faces_when_it_is_loaded_from_the_hub(
    run: Path, hub: HubServer, tmp_path: Path, tiny: Checkpoint
) -> None:
    uploaded = published(run, hub)
    files = hub.models[REPO].files
    model = {"config.json", "model.safetensors", "discriminator.safetensors", "README.md"}
    assert files.keys() == {".gitattributes", "faces.webp", "directions.json", "directions.safetensors", *model}
    pulled = pull(REPO, tmp_path / "cache", endpoint=hub.endpoint)
    assert pulled.revision == uploaded.commit
    assert load_checkpoint(pulled.folder).revision == tiny.revision
    generator = Generator.from_pretrained(REPO, cache_dir=tmp_path / "other", endpoint=hub.endpoint)
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(generator(z), load_checkpoint(run).generator(z))


@pytest.mark.usefixtures("waits")
def test_model_that_is_published_again_loses_the_files_that_it_no_longer_has(run: Path, hub: HubServer) -> None:
    published(run, hub)
    for name in ("directions.json", "directions.safetensors"):
        (run / "saves" / "best" / name).unlink()
    published(run, hub)
    assert not [name for name in hub.models[REPO].files if name.startswith("directions")]


def test_card_has_the_front_matter_of_the_hub_and_the_measured_figures(run: Path, tmp_path: Path) -> None:
    write_publication(model_to_publish(run), tmp_path, REPO, STATEMENT)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("---")[1])
    assert (front["library_name"], front["pipeline_tag"]) == ("ganime", "unconditional-image-generation")
    assert front["license"] == "mit"
    assert {"dcgan", "gan", "anime"} <= set(front["tags"])
    [index] = front["model-index"]
    metrics = {metric["type"]: metric["value"] for result in index["results"] for metric in result["metrics"]}
    assert index["name"] == "faces"
    assert metrics == {kind: getattr(MEASURED, name) for name, (_, kind, _) in FIGURES.items()}
    assert "500 generated faces against 64 real ones" in text
    assert "> # a program" in text  # what a person wrote is no heading
    assert all(
        part in text for part in (f'load_model("{REPO}")', "smile", "(faces.webp)", "anime-64", "non-commercial")
    )
    assert "This model copies" not in text
    facts = json.loads((tmp_path / "config.json").read_text())["training"]
    assert (facts["verdict"], facts["kernel"]) == ("healthy", 0.02)


def test_card_that_a_person_wrote_keeps_its_text(run: Path, tmp_path: Path) -> None:
    written = "---\ntags: [mine]\nlicense: other\nextra: 7\n---\n\n# Mine\n\nBy hand.\n"
    (run / "saves" / "best" / "README.md").write_text(written)
    write_publication(model_to_publish(run), tmp_path, REPO, STATEMENT)
    card = ModelCard((tmp_path / "README.md").read_text())
    assert card.text.strip() == "# Mine\n\nBy hand."
    assert card.data["extra"] == 7
    assert (card.data.license, card.data.library_name) == ("mit", "ganime")
    assert card.data.tags[0] == "mine"
    assert card.data.eval_results


@pytest.mark.usefixtures("waits")
def test_model_that_copies_is_refused_unless_that_is_confirmed_and_its_card_says_so(run: Path, hub: HubServer) -> None:
    record(run, replace(MEASURED, images=200, copying=-4.0))
    record(run, Verdict(200, "copying", "it copies", "Stop.", "stop"))
    with pytest.raises(ConfigError, match="copies-confirmed"):
        published(run, hub)
    assert hub.requests == []
    published(run, hub, copies_confirmed=True)
    assert b"**This model copies.**" in hub.models[REPO].files["README.md"]


def test_verdict_goes_with_an_exported_model(run: Path, tmp_path: Path) -> None:
    record(run, Verdict(200, "copying", "it copies", "Stop.", "stop"))
    save_checkpoint(model_to_publish(run), tmp_path / "exported")
    with pytest.raises(ConfigError):
        list(publish(model_to_publish(tmp_path / "exported"), Target(REPO), STATEMENT, TOKEN))


def test_directions_of_other_weights_are_not_published(run: Path, hub: HubServer, tiny: Checkpoint) -> None:
    torch.manual_seed(1)
    other = Generator(tiny.generator.config).eval()
    weights = run / "other"
    save_checkpoint(replace(tiny, generator=other), weights)
    shutil.copyfile(weights / "model.safetensors", run / "saves" / "best" / "model.safetensors")
    with pytest.raises(CheckpointError, match="directions"):
        published(run, hub)
    assert hub.models == {}


@pytest.mark.parametrize(
    ("provenance", "licence"), [("", "mit"), ("  ", "mit"), ("drawn", ""), ("drawn", "my licence"), ("x" * 2001, "mit")]
)
def test_statement_without_provenance_or_licence_is_refused(provenance: str, licence: str) -> None:
    with pytest.raises(ConfigError):
        Statement(provenance, licence)


def test_card_of_a_model_without_figures_has_no_model_index(tiny_config: ModelConfig) -> None:
    card = published_card(REPO, Contents(tiny_config, {"note": "a | b"}, 0.0, "faces.webp", 64), STATEMENT)
    assert "model-index" not in yaml.safe_load(card.split("---")[1])
    assert "Measured" not in card
    assert r"a \| b" in card


def test_a_token_that_the_hub_does_not_know_is_refused_before_anything_is_drawn(run: Path, hub: HubServer) -> None:
    steps = publish(model_to_publish(run), Target(REPO, endpoint=hub.endpoint), STATEMENT, "hf_unknown")
    with pytest.raises(HubError, match="401"):
        next(steps)
    assert hub.models == {}
