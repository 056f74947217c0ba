"""The feature critic: frozen eyes, trained heads, and runs that save and resume them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ganime.config import RECIPES, ModelConfig, TrainConfig
from ganime.errors import CheckpointError
from ganime.faces.dataset import FaceDataset
from ganime.files import read_tensors
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.resizing import resize
from ganime.nets.anime_features import load_features
from ganime.nets.critic import CRITIC_FILE, FeatureCritic, Statistics
from ganime.nets.dcgan import Discriminator, Generator
from ganime.training.events import Done, Event
from ganime.training.loop import train
from ganime.training.run_folder import TrainingState, load_last_save, saves

Run = Callable[..., list[Event]]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def critic() -> FeatureCritic:
    torch.manual_seed(0)
    return FeatureCritic.fresh(64)


@pytest.fixture(scope="module")
def close() -> FeatureCritic:
    torch.manual_seed(0)
    return FeatureCritic.fresh(128)


@pytest.fixture(scope="module")
def broad() -> FeatureCritic:
    torch.manual_seed(0)
    return FeatureCritic.fresh(64, "both")


@pytest.fixture(scope="module")
def run(faces: FaceDataset, tiny_config: ModelConfig) -> Run:
    """Train the tiny model with a critic in a folder, up to a number of steps, and return all events."""

    def events_of(folder: Path, steps: int, start: Checkpoint | None = None, weight: float = 1.0) -> list[Event]:
        config = replace(RECIPES["modern"][0], batch_size=16, precision="fp32", measure_images=0, critic=weight)
        return list(train(faces, folder, replace(config, steps=steps), tiny_config, start=start))

    return events_of


@pytest.fixture(scope="module")
def two_steps(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps; tests must not change it."""
    folder = tmp_path_factory.mktemp("critic") / "run"
    run(folder, 2)
    return folder


def state_of(run: Path, model: ModelConfig) -> TrainingState:
    state = TrainingState.create(model, replace(TrainConfig(), critic=1.0), CPU)
    assert load_last_save(run, state)[0]
    return state


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("side", [32, 64, 128])
def test_every_picture_gets_a_logit_at_each_of_four_depths(critic: FeatureCritic, side: int) -> None:
    assert critic(torch.zeros(2, 3, side, side)).shape == (2, 4)


def test_pieces_of_large_pictures_are_judged_too(close: FeatureCritic) -> None:
    assert close(torch.zeros(2, 3, 128, 128)).shape == (2, 8)
    images = torch.zeros(1, 3, 128, 128, requires_grad=True)
    reached = torch.zeros(128, 128)
    for _ in range(64):
        (gradient,) = torch.autograd.grad(close.pieces(images).sum(), images)
        assert gradient.sum() == 3 * 64 * 64  # one whole piece
        reached += gradient[0, 0]
    assert (reached > 0).float().mean() > 0.95
    assert reached[32:96, 32:96].min() > 0
    assert reached[0, 0] < 8


def test_places_of_pieces_continue_after_a_save(close: FeatureCritic, tmp_path: Path) -> None:
    images = torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(3))
    close.pieces(images)
    save_file(close.state_dict(), tmp_path / CRITIC_FILE)
    read = FeatureCritic.load(tmp_path / CRITIC_FILE).train()
    assert read.views == 2
    assert torch.equal(read.pieces(images), close.pieces(images))
    before = close.looks.clone()
    assert torch.equal(close.eval().pieces(images), close.pieces(images))  # in eval mode the places stay
    assert close.looks == before
    close.train()


@pytest.mark.slow
def test_the_critic_of_a_model_that_grew_keeps_its_heads_and_sees_pieces_from_then_on(critic: FeatureCritic) -> None:
    config = ModelConfig(image_size=64, base_channels=12, max_channels=12)
    start = resize(Checkpoint(Generator(config), Discriminator(config), critic=critic), 128)
    state = TrainingState.create(start.generator.config, replace(TrainConfig(), critic=1.0), CPU, start)
    assert state.critic
    assert same(state.critic.heads, critic.heads)
    assert (critic.views, state.critic.views) == (1, 2)


def test_every_depth_has_a_gradient_in_the_picture(critic: FeatureCritic) -> None:
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)).clamp(-1, 1).requires_grad_(True)
    for depth in range(4):
        (gradient,) = torch.autograd.grad(critic(images)[:, depth].square().sum(), images)
        assert gradient.abs().sum() > 0


def test_the_eyes_never_change_in_any_mode(critic: FeatureCritic) -> None:
    before = {name: tensor.clone() for name, tensor in critic.eyes.state_dict().items()}
    critic.train()
    critic(torch.randn(4, 3, 64, 64)).sum().backward()
    assert not any(layer.training for layer in critic.eyes.modules())
    assert all(parameter.grad is None for parameter in critic.eyes.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in critic.eyes.state_dict().items())


@pytest.mark.parametrize("side", [32, 128])
def test_broad_eyes_add_a_view_of_pictures_of_any_side(broad: FeatureCritic, side: int) -> None:
    assert broad.views == 2
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    logits = broad(images)
    assert logits.shape == (2, 9)
    for depth in range(4, 9):
        (gradient,) = torch.autograd.grad(logits[:, depth].square().sum(), images, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_broad_eyes_are_not_trained_and_not_saved_with_a_model(broad: FeatureCritic, tmp_path: Path) -> None:
    assert not any(parameter.requires_grad for parameter in (broad.broad_eyes or broad).parameters())
    assert not any(layer.training for layer in (broad.train().broad_eyes or broad).modules())
    save_file(broad.stored(), tmp_path / CRITIC_FILE)
    assert not any("broad_eyes" in name for name in read_tensors(tmp_path / CRITIC_FILE))
    read = FeatureCritic.load(tmp_path / CRITIC_FILE)
    assert same(read, broad)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(read(images), broad.eval()(images))
    broad.train()


@pytest.mark.parametrize(
    ("eyes", "start", "had"),
    [
        ("auto", "broad", "both"),
        ("auto", "critic", "anime"),
        ("both", "critic", "both"),
        ("anime", "broad", "anime"),
        ("broad", "broad", "broad"),
        ("broad", "", "broad"),
    ],
)
def test_a_run_has_the_eyes_of_its_setting_or_of_the_model_it_starts_from(
    faces: FaceDataset,
    tmp_path: Path,
    tiny: Checkpoint,
    request: pytest.FixtureRequest,
    eyes: str,
    start: str,
    had: str,
) -> None:
    begun = replace(tiny, critic=request.getfixturevalue(start)) if start else None
    config = replace(RECIPES["modern"][0], batch_size=4, precision="fp32", measure_images=0, steps=1, eyes=eyes)
    *_, last = train(faces, tmp_path / "run", config, tiny.generator.config, start=begun)
    assert isinstance(last, Done)
    kept = load_checkpoint(last.folder, with_discriminator=True).critic
    assert kept
    assert kept.kind_of_eyes == had


def test_the_critic_does_not_see_through_the_network_that_measures(critic: FeatureCritic) -> None:
    assert not same(critic.eyes, load_features().stages)


@pytest.mark.slow
def test_heads_learn_to_tell_two_kinds_of_pictures(critic: FeatureCritic) -> None:
    random = torch.Generator().manual_seed(2)
    light, dark = torch.rand(16, 3, 32, 32, generator=random), -torch.rand(16, 3, 32, 32, generator=random)
    optimizer = torch.optim.Adam(critic.heads.parameters(), 1e-3, (0.0, 0.9))
    for _ in range(10):
        loss = torch.relu(1 - critic(light)).mean() + torch.relu(1 + critic(dark)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (critic(light) > critic(dark)).all(1).float().mean() > 0.9


def test_a_run_trains_only_the_heads_and_saves_the_critic_with_the_model(
    two_steps: Path, tiny_config: ModelConfig
) -> None:
    begun = TrainingState.create(tiny_config, replace(TrainConfig(), critic=1.0), CPU).critic
    ended = state_of(two_steps, tiny_config).critic
    assert begun
    assert ended
    assert same(begun.eyes, ended.eyes)
    assert not same(begun.heads, ended.heads)
    kept = load_checkpoint(saves(two_steps)[-1], with_discriminator=True).critic
    assert kept
    pictures = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    torch.testing.assert_close(kept(pictures), ended.eval()(pictures), rtol=0.05, atol=0.05)  # 16 bits


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one_exactly(
    run: Run, two_steps: Path, tmp_path: Path, tiny_config: ModelConfig
) -> None:
    run(tmp_path / "whole", 4)
    shutil.copytree(two_steps, tmp_path / "parts")
    run(tmp_path / "parts", 4)
    whole, parts = (state_of(tmp_path / name, tiny_config) for name in ("whole", "parts"))
    assert whole.critic
    assert parts.critic
    assert same(whole.critic, parts.critic)
    assert same(whole.generator, parts.generator)


def test_the_critic_changes_what_the_generator_learns(run: Run, two_steps: Path, tmp_path: Path) -> None:
    run(tmp_path / "without", 2, weight=0.0)
    last = [saves(folder)[-1] for folder in (two_steps, tmp_path / "without")]
    assert not same(*(load_checkpoint(folder).generator for folder in last))
    assert [(folder / CRITIC_FILE).exists() for folder in last] == [True, False]


def test_a_run_starts_with_the_critic_of_its_model(two_steps: Path, tiny_config: ModelConfig) -> None:
    start = load_checkpoint(saves(two_steps)[-1], with_discriminator=True)
    assert start.critic
    state = TrainingState.create(tiny_config, replace(TrainConfig(), critic=1.0), CPU, start)
    assert state.critic
    assert same(state.critic, start.critic)
    lacking = TrainingState.create(tiny_config, replace(TrainConfig(), critic=1.0), CPU, replace(start, critic=None))
    assert lacking.critic
    assert same(lacking.critic.eyes, start.critic.eyes)
    assert not same(lacking.critic.heads, start.critic.heads)


def test_a_damaged_critic_is_named(tmp_path: Path, tiny: Checkpoint, critic: FeatureCritic) -> None:
    save_checkpoint(replace(tiny, critic=critic), tmp_path / "model")
    path = tmp_path / "model" / CRITIC_FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=CRITIC_FILE):
        load_checkpoint(tmp_path / "model", with_discriminator=True)
    assert load_checkpoint(tmp_path / "model").critic is None


def test_statistics_learn_what_two_kinds_differ_by_on_average_and_settle() -> None:
    torch.manual_seed(0)
    rule, random = Statistics(6), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(rule.parameters(), 1e-2, (0.0, 0.9))

    def maps(shift: float) -> list[torch.Tensor]:
        drawn = torch.randn(64, 3, 4, 4, generator=random)  # (64, 3, 4, 4)
        return [drawn + torch.tensor([0.0, shift, 0.0])[:, None, None]]

    for _ in range(200):
        loss = torch.relu(1 - rule(maps(0.5))).mean() + torch.relu(1 + rule(maps(-0.5))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    rule.eval()
    assert rule(maps(0.5)).mean() > 0.8
    assert rule(maps(-0.5)).mean() < -0.8
    assert rule.rule.weight.square().sum() < 1.01
    assert abs(float(rule.rule.weight.detach()[0, 1])) > 0.9  # the one that differs
    assert rule.norm.running_mean is not None
    before = rule.norm.running_mean.clone()
    rule(maps(3.0))
    assert torch.equal(rule.norm.running_mean, before)


@pytest.mark.parametrize("kept", ["", "close.", "statistics."])
def test_a_file_without_heads_for_any_eyes_is_no_critic(broad: FeatureCritic, tmp_path: Path, kept: str) -> None:
    parts = {name: tensor for name, tensor in broad.stored().items() if kept and name.startswith(kept)}
    save_file(parts, tmp_path / CRITIC_FILE)
    with pytest.raises(CheckpointError, match="holds no critic"):
        FeatureCritic.load(tmp_path / CRITIC_FILE)
