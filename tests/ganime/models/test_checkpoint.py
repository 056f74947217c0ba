"""Model folders: what is saved comes back, damage is named, and an old model survives a failed save."""

from __future__ import annotations

import copy
import errno
import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ganime import files
from ganime.config import NORMS, ModelConfig, to_dict
from ganime.errors import CheckpointError, ConfigError
from ganime.models import checkpoint as checkpoint_module
from ganime.models.checkpoint import CARD_FILE, RUN_SAVES, Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets import dcgan
from ganime.nets.dcgan import CONFIG_FILE, DISCRIMINATOR_FILE, WEIGHTS_FILE, Discriminator, Generator

TINY = ModelConfig(image_size=32, latent_dim=5, base_channels=2, max_channels=4)


def configs() -> st.SearchStrategy[ModelConfig]:
    norms = st.sampled_from(NORMS)
    return st.builds(
        lambda size, latent, base, cap, generator, discriminator: ModelConfig(
            size, latent, base, base + cap, generator, discriminator
        ),
        *(st.sampled_from((32, 64)), st.integers(1, 8), st.integers(1, 3), st.integers(0, 9)),
        *(norms, norms),
    )


def model(config: ModelConfig = TINY, seed: int = 0, **facts: Any) -> Checkpoint:
    """A checkpoint in eval mode whose weights and statistics are nowhere trivial."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nets: tuple[nn.Module, nn.Module] = Generator(config), Discriminator(config)
        for net in nets:
            for name, tensor in net.state_dict().items():
                if name.endswith("running_var"):
                    tensor.uniform_(0.5, 2.0)
                elif tensor.is_floating_point() and not name.endswith(("_u", "_v")):
                    tensor.normal_(0.0, 0.3)
    generator, discriminator = (net.eval().requires_grad_(False) for net in nets)
    return Checkpoint(generator, discriminator, facts or {"images": 12, "recipe": "modern"}, "tiny")


def draw(generator: Generator) -> Tensor:
    """Four pictures, (4, 3, S, S), of fixed latents."""
    source, config = torch.Generator().manual_seed(1), generator.config
    z = torch.randn(4, config.latent_dim, generator=source)
    with torch.no_grad():
        return generator(z)


def in_half(net: nn.Module) -> dict[str, Tensor]:
    """The weights of `net`, rounded to 16 bits and back."""
    return {n: t.half().float() if t.is_floating_point() else t for n, t in net.state_dict().items()}


def half_rounded(generator: Generator) -> Generator:
    rounded = Generator(generator.config)
    rounded.load_state_dict(in_half(generator))
    return rounded.eval()


def assert_same_weights(a: nn.Module, b: nn.Module) -> None:
    left, right = a.state_dict(), b.state_dict()
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


def leftovers(folder: Path) -> list[str]:
    """Hidden files and folders beside a model, where unfinished saves live."""
    return sorted(path.name for path in folder.rglob(".*"))


# --- what is saved comes back


@settings(max_examples=15, deadline=None)
@given(config=configs(), seed=st.integers(0, 100))
def test_loaded_model_draws_the_faces_of_its_half_rounded_weights(config: ModelConfig, seed: int) -> None:
    original = model(config, seed)
    with tempfile.TemporaryDirectory() as home:
        save_checkpoint(original, Path(home) / "faces")
        loaded = load_checkpoint(Path(home) / "faces", with_discriminator=True)
    assert torch.equal(draw(loaded.generator), draw(half_rounded(original.generator)))
    assert loaded.generator.config == config
    assert loaded.training == original.training
    assert loaded.name == "faces"
    assert loaded.revision == original.revision
    assert loaded.discriminator is not None
    assert original.discriminator is not None
    stored = in_half(original.discriminator)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in loaded.discriminator.state_dict().items())


@settings(max_examples=5, deadline=None)
@given(config=configs())
def test_second_save_changes_no_byte_of_the_weights(config: ModelConfig) -> None:
    with tempfile.TemporaryDirectory() as home:
        first, second = Path(home) / "first", Path(home) / "second"
        save_checkpoint(model(config), first)
        save_checkpoint(load_checkpoint(first, with_discriminator=True), second)
        for name in (WEIGHTS_FILE, DISCRIMINATOR_FILE, CONFIG_FILE):
            assert (first / name).read_bytes() == (second / name).read_bytes()


@settings(max_examples=6, deadline=None)
@given(config=configs())
def test_hub_form_and_model_folder_are_read_by_each_other(config: ModelConfig) -> None:
    original = model(config)
    with tempfile.TemporaryDirectory() as home:
        ours, hub, again = Path(home) / "ours", Path(home) / "hub", Path(home) / "again"
        save_checkpoint(original, ours)
        original.generator.save_pretrained(hub)
        from_ours, from_hub = load_checkpoint(ours), load_checkpoint(hub)
        assert from_hub.training == {}
        assert_same_weights(from_hub.generator, from_ours.generator)
        generator = Generator.from_pretrained(ours)
        assert generator.config == config
        assert not generator.training
        assert not any(parameter.requires_grad for parameter in generator.parameters())
        assert_same_weights(generator, from_ours.generator)
        assert_same_weights(Generator.from_pretrained(hub), from_ours.generator)
        generator.save_pretrained(again)
        assert (again / WEIGHTS_FILE).read_bytes() == (ours / WEIGHTS_FILE).read_bytes()
        assert json.loads((again / CONFIG_FILE).read_text(encoding="utf-8")) == to_dict(config)


def test_model_is_loaded_for_drawing_and_without_discriminator_unless_asked(tmp_path: Path) -> None:
    save_checkpoint(model(), tmp_path / "faces")
    loaded = load_checkpoint(str(tmp_path / "faces"))
    assert loaded.discriminator is None
    assert loaded.folder == tmp_path / "faces"
    assert not loaded.generator.training
    assert not any(parameter.requires_grad for parameter in loaded.generator.parameters())


def test_model_without_discriminator_stays_without(tmp_path: Path) -> None:
    save_checkpoint(Checkpoint(model().generator), tmp_path / "faces")
    assert load_checkpoint(tmp_path / "faces", with_discriminator=True).discriminator is None
    assert not (tmp_path / "faces" / DISCRIMINATOR_FILE).exists()


def test_weights_too_large_for_half_are_kept_in_full(tmp_path: Path) -> None:
    original = model()
    original.generator.state_dict()["to_rgb.bias"].fill_(1e6)
    save_checkpoint(original, tmp_path / "faces")
    assert load_checkpoint(tmp_path / "faces").generator.state_dict()["to_rgb.bias"].tolist() == [1e6] * 3


def test_card_is_made_from_facts_or_taken_as_given(tmp_path: Path) -> None:
    save_checkpoint(model(images=345), tmp_path / "faces")
    text = (tmp_path / "faces" / CARD_FILE).read_text(encoding="utf-8")
    assert "# tiny" in text
    assert "| Images | 345 |" in text
    save_checkpoint(model(), tmp_path / "faces", card="# 顔\n")
    assert (tmp_path / "faces" / CARD_FILE).read_text(encoding="utf-8") == "# 顔\n"


def test_model_folder_can_be_read_by_other_users(tmp_path: Path) -> None:
    save_checkpoint(model(), tmp_path / "faces")
    assert (tmp_path / "faces").stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o444 for path in (tmp_path / "faces").iterdir()} == {0o444}


def test_model_in_the_working_folder_is_named_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(model(), tmp_path / "faces")
    monkeypatch.chdir(tmp_path / "faces")
    assert load_checkpoint(Path()).name == "faces"


# --- revisions


def test_equal_weights_have_equal_revisions_and_other_weights_others(tmp_path: Path) -> None:
    revision = model(seed=1).revision
    assert len(revision) == 12
    assert int(revision, 16) >= 0
    assert model(seed=1, images=99).revision == revision
    assert Checkpoint(half_rounded(model(seed=1).generator)).revision == revision
    assert model(seed=2).revision != revision
    changed = model(seed=1)
    changed.generator.state_dict()["to_rgb.bias"][0] += 0.25
    assert changed.revision != revision


def test_a_config_of_an_earlier_version_loads_with_the_same_revision(tmp_path: Path) -> None:
    save_checkpoint(model(), tmp_path / "tiny")
    rewrite_config(tmp_path / "tiny", attributes=0)
    assert load_checkpoint(tmp_path / "tiny").revision == Checkpoint(half_rounded(model().generator)).revision


def test_training_counter_changes_no_revision() -> None:
    counted = model(seed=1)
    counted.generator.state_dict()["stem.1.num_batches_tracked"].fill_(7)
    assert counted.revision == model(seed=1).revision


# --- training runs


def test_training_run_resolves_to_its_newest_save(tmp_path: Path) -> None:
    for images in (9, 1000, 20):
        save_checkpoint(model(seed=images, images=images), tmp_path / "run" / RUN_SAVES / f"{images:012d}")
    (tmp_path / "run" / RUN_SAVES / ".000000009999.half-written").mkdir()
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.training == {"images": 1000}
    assert loaded.revision == model(seed=1000).revision
    assert loaded.name == "run"
    assert loaded.folder == tmp_path / "run" / RUN_SAVES / "000000001000"


def test_weights_of_its_own_come_before_saves_inside(tmp_path: Path) -> None:
    save_checkpoint(model(images=1), tmp_path / "faces")
    save_checkpoint(model(images=2), tmp_path / "faces" / RUN_SAVES / "000000000002")
    assert load_checkpoint(tmp_path / "faces").training == {"images": 1}


def test_run_without_saves_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "run" / RUN_SAVES).mkdir(parents=True)
    with pytest.raises(CheckpointError, match=rf"{CONFIG_FILE} is missing"):
        load_checkpoint(tmp_path / "run")


# --- damage


def rewrite_config(folder: Path, **values: Any) -> None:
    content = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")) | values
    content = {name: value for name, value in content.items() if value is not ...}
    (folder / CONFIG_FILE).write_text(json.dumps(content), encoding="utf-8")


def rewrite_weights(folder: Path, change: Callable[[dict[str, Tensor]], Any], name: str = WEIGHTS_FILE) -> None:
    tensors = load_file(folder / name)
    change(tensors)
    save_file(tensors, folder / name)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


DAMAGES: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "a config of other widths": (lambda f: rewrite_config(f, base_channels=4), WEIGHTS_FILE, "shape"),
    "a config of another size": (lambda f: rewrite_config(f, image_size=64), WEIGHTS_FILE, "missing blocks.2"),
    "a config of another norm": (lambda f: rewrite_config(f, generator_norm="none"), WEIGHTS_FILE, "unexpected"),
    "a config with attributes": (lambda f: rewrite_config(f, attributes=2), CONFIG_FILE, "conditional"),
    "an unknown field": (lambda f: rewrite_config(f, layers=3), CONFIG_FILE, "has no field layers"),
    "a number as text": (lambda f: rewrite_config(f, latent_dim="5"), CONFIG_FILE, "latent_dim must be int"),
    "a truth for a number": (lambda f: rewrite_config(f, latent_dim=True), CONFIG_FILE, "latent_dim must be int"),
    "NaN in the config": (lambda f: rewrite_config(f, latent_dim=float("nan")), CONFIG_FILE, "latent_dim"),
    "a size out of range": (lambda f: rewrite_config(f, image_size=48), CONFIG_FILE, "image_size must be one of"),
    "no image size": (lambda f: rewrite_config(f, image_size=...), CONFIG_FILE, "needs image_size"),
    "training that is a list": (lambda f: rewrite_config(f, training=[1]), CONFIG_FILE, "training must be an object"),
    "no config": (lambda f: (f / CONFIG_FILE).unlink(), CONFIG_FILE, "is missing"),
    "an empty config": (lambda f: cut(f / CONFIG_FILE, 0), CONFIG_FILE, "JSON"),
    "a cut-off config": (lambda f: cut(f / CONFIG_FILE, 40), CONFIG_FILE, "JSON"),
    "a list for a config": (lambda f: (f / CONFIG_FILE).write_text("[]"), CONFIG_FILE, "no Ganime configuration"),
    "a config in bytes": (lambda f: (f / CONFIG_FILE).write_bytes(b"\xff\xfe{}"), CONFIG_FILE, "JSON"),
    "a config nested without end": (lambda f: (f / CONFIG_FILE).write_text("[" * 100_000), CONFIG_FILE, "JSON"),
    "no weights": (lambda f: (f / WEIGHTS_FILE).unlink(), WEIGHTS_FILE, "is missing"),
    "empty weights": (lambda f: cut(f / WEIGHTS_FILE, 0), WEIGHTS_FILE, "whole safetensors"),
    "a cut-off header": (lambda f: cut(f / WEIGHTS_FILE, 100), WEIGHTS_FILE, "whole safetensors"),
    "cut-off weights": (lambda f: cut(f / WEIGHTS_FILE, -7), WEIGHTS_FILE, "whole safetensors"),
    "a web page for weights": (
        lambda f: (f / WEIGHTS_FILE).write_text("<html>" * 9),
        WEIGHTS_FILE,
        "whole safetensors",
    ),
    "a layer too few": (
        lambda f: rewrite_weights(f, lambda t: t.pop("to_rgb.bias")),
        WEIGHTS_FILE,
        "missing to_rgb.bias",
    ),
    "a layer too many": (
        lambda f: rewrite_weights(f, lambda t: t.update(extra=torch.zeros(1))),
        WEIGHTS_FILE,
        "unexpected extra",
    ),
    "NaN weights": (
        lambda f: rewrite_weights(f, lambda t: t["to_rgb.bias"].fill_(torch.nan)),
        WEIGHTS_FILE,
        "to_rgb.bias holds NaN",
    ),
    "infinite weights": (
        lambda f: rewrite_weights(f, lambda t: t["stem.0.weight"].fill_(torch.inf)),
        WEIGHTS_FILE,
        "stem.0.weight holds NaN or infinity",
    ),
    "a cut-off discriminator": (lambda f: cut(f / DISCRIMINATOR_FILE, -1), DISCRIMINATOR_FILE, "whole safetensors"),
    "another discriminator": (
        lambda f: shutil.copy(f / WEIGHTS_FILE, f / DISCRIMINATOR_FILE),
        DISCRIMINATOR_FILE,
        "does not fit",
    ),
    "NaN in the discriminator": (
        lambda f: rewrite_weights(f, lambda t: t["head.bias"].fill_(torch.nan), DISCRIMINATOR_FILE),
        DISCRIMINATOR_FILE,
        "head.bias holds NaN",
    ),
}


@pytest.mark.parametrize("case", sorted(DAMAGES))
def test_damaged_model_is_refused_by_the_name_of_the_file(case: str, tmp_path: Path) -> None:
    damage, file, found = DAMAGES[case]
    save_checkpoint(model(), tmp_path / "faces")
    damage(tmp_path / "faces")
    with pytest.raises((CheckpointError, ConfigError)) as caught:
        load_checkpoint(tmp_path / "faces", with_discriminator=True)
    assert found in str(caught.value)
    assert str(tmp_path / "faces" / file) in str(caught.value)
    assert len(str(caught.value)) < 1000


IN_THE_GENERATOR = sorted(case for case, (_, file, _) in DAMAGES.items() if file == WEIGHTS_FILE)


@pytest.mark.parametrize(
    "case", [*IN_THE_GENERATOR, "an unknown field", "a number as text", "no image size", "no config"]
)
def test_hub_form_is_as_strict_as_a_model_folder(case: str, tmp_path: Path) -> None:
    damage, file, found = DAMAGES[case]
    model().generator.save_pretrained(tmp_path / "hub")
    damage(tmp_path / "hub")
    with pytest.raises((CheckpointError, ConfigError)) as caught:
        Generator.from_pretrained(tmp_path / "hub")
    assert found in str(caught.value)
    assert str(tmp_path / "hub" / file) in str(caught.value)


def test_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no model")
    for path in (tmp_path / "file", tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match="is not a folder"):
            load_checkpoint(path)


def test_config_that_asks_for_far_more_than_the_weights_hold_is_refused_quickly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file must not make a shared machine set aside gigabytes before the shapes are compared."""
    save_checkpoint(model(), tmp_path / "faces")
    rewrite_config(tmp_path / "faces", image_size=64, base_channels=96, max_channels=768, latent_dim=512)
    load_net = []
    original = nn.init.normal_

    def counted(tensor: Tensor, *args: Any, **options: Any) -> Tensor:
        load_net.append(0 if tensor.is_meta else tensor.numel())
        return original(tensor, *args, **options)

    monkeypatch.setattr(nn.init, "normal_", counted)
    with pytest.raises(CheckpointError, match=WEIGHTS_FILE):
        load_checkpoint(tmp_path / "faces")
    assert sum(load_net) < 1_000_000


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    save_checkpoint(model(), tmp_path / "faces")
    before = torch.get_rng_state()
    load_checkpoint(tmp_path / "faces", with_discriminator=True)
    assert torch.equal(torch.get_rng_state(), before)


# --- saves that fail


class DiskFullError(OSError):
    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "No space left on device")


def fail(*args: Any, **options: Any) -> Any:
    raise DiskFullError


def fail_on_call(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """`function`, but its call of the given number (from 1) finds the disk full."""
    calls = []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return fail() if len(calls) == number else function(*args, **options)

    return counted


FAILURES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "at the generator": lambda patch: patch.setattr(files, "save_file", fail),
    "at the discriminator": lambda patch: patch.setattr(files, "save_file", fail_on_call(files.save_file, 2)),
    "at the card": lambda patch: patch.setattr(checkpoint_module, "model_card", fail),
    "at the config": lambda patch: patch.setattr(Path, "write_text", fail),
    "when the folder is flushed": lambda patch: patch.setattr(files, "flush", fail_on_call(files.flush, 3)),
    "when the folder is opened to others": lambda patch: patch.setattr(Path, "chmod", fail_on_call(Path.chmod, 3)),
    "when the old model steps aside": lambda patch: patch.setattr(Path, "replace", fail_on_call(Path.replace, 3)),
    "when the new model steps in": lambda patch: patch.setattr(Path, "replace", fail_on_call(Path.replace, 4)),
}


@pytest.mark.parametrize("moment", sorted(FAILURES))
def test_failed_save_leaves_the_old_model_whole_and_nothing_else(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(model(seed=1), tmp_path / "faces")
    before = {path.name: path.read_bytes() for path in (tmp_path / "faces").iterdir()}
    with monkeypatch.context() as patch:
        FAILURES[moment](patch)
        with pytest.raises(DiskFullError):
            save_checkpoint(model(seed=2), tmp_path / "faces")
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "faces").iterdir()} == before
    assert load_checkpoint(tmp_path / "faces").revision == model(seed=1).revision


def test_failed_first_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "model_card", fail)
    with pytest.raises(DiskFullError):
        save_checkpoint(model(), tmp_path / "faces")
    assert list(tmp_path.iterdir()) == []


def test_interrupted_save_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> str:
        raise KeyboardInterrupt

    save_checkpoint(model(seed=1), tmp_path / "faces")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "model_card", interrupt)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(model(seed=2), tmp_path / "faces")
    assert load_checkpoint(tmp_path / "faces").revision == model(seed=1).revision
    assert leftovers(tmp_path) == []


def test_save_takes_the_place_of_the_old_model(tmp_path: Path) -> None:
    save_checkpoint(model(seed=1), tmp_path / "faces")
    (tmp_path / "faces" / "of the old model.txt").write_text("gone with it")
    save_checkpoint(Checkpoint(model(seed=2).generator), tmp_path / "faces")
    assert load_checkpoint(tmp_path / "faces").revision == model(seed=2).revision
    assert sorted(path.name for path in (tmp_path / "faces").iterdir()) == [CARD_FILE, CONFIG_FILE, WEIGHTS_FILE]
    assert leftovers(tmp_path) == []


def test_save_over_a_link_replaces_the_link_and_leaves_its_target(tmp_path: Path) -> None:
    save_checkpoint(model(seed=1), tmp_path / "real")
    (tmp_path / "faces").symlink_to(tmp_path / "real", target_is_directory=True)
    save_checkpoint(model(seed=2), tmp_path / "faces")
    assert load_checkpoint(tmp_path / "faces").revision == model(seed=2).revision
    assert load_checkpoint(tmp_path / "real").revision == model(seed=1).revision
    assert leftovers(tmp_path) == []


def test_save_over_a_file_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "faces").write_text("a file of that name")
    save_checkpoint(model(), tmp_path / "faces")
    assert load_checkpoint(tmp_path / "faces").name == "faces"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "7", "[" * 100_000])
def test_hub_form_with_a_broken_config_names_the_file(tmp_path: Path, content: str) -> None:
    save_checkpoint(Checkpoint(Generator(ModelConfig(32, 8, 4, 16)).eval()), tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        Generator.from_pretrained(tmp_path / "model")


def test_hub_form_passes_on_errors_that_are_not_about_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AttributeError("a mistake in a library")

    monkeypatch.setattr(dcgan, "hf_hub_download", fail)
    with pytest.raises(AttributeError, match="a mistake in a library"):
        Generator.from_pretrained("ada/faces", cache_dir=tmp_path)


def test_stray_files_among_the_saves_of_a_run_are_no_model(tmp_path: Path) -> None:
    save_checkpoint(
        Checkpoint(Generator(ModelConfig(32, 8, 4, 16)).eval()), tmp_path / "run" / "saves" / "000000000064"
    )
    (tmp_path / "run" / "saves" / "999-notes").mkdir()
    assert load_checkpoint(tmp_path / "run").folder == tmp_path / "run" / "saves" / "000000000064"


@pytest.mark.parametrize("kind", ["names", "facts"])
def test_weights_with_very_many_names_or_facts_are_refused_before_these_are_parsed(
    kind: str, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tiny, tmp_path / "model")
    weights = tmp_path / "model" / WEIGHTS_FILE
    tensors = load_file(weights)
    if kind == "names":
        save_file(tensors | {f"none{number}": torch.zeros(0) for number in range(20_000)}, weights)
    else:
        save_file(tensors, weights, {"fact": "x" * files.MAX_HEADER_BYTES})
    monkeypatch.setattr(files, "safe_open", None)
    with pytest.raises(CheckpointError, match=r"[\d,]{9} bytes of names .* at most 1,048,576"):
        load_checkpoint(tmp_path / "model")


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copy", "pickle"]
)
def test_a_model_that_has_drawn_can_be_copied(again: Callable[[Checkpoint], Checkpoint]) -> None:
    drawn, z = replace(model(), discriminator=None), torch.ones(1, TINY.latent_dim)
    expected = drawn.prepared(z)
    assert torch.equal(again(drawn).prepared(z), expected)
