"""One training step: the discriminator's, then the generator's on the same generated faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from ganime.config import TrainConfig
from ganime.nets.critic import FeatureCritic
from ganime.nets.dcgan import Discriminator, set_requires_grad
from ganime.nets.device import precision_context
from ganime.shapes import Float
from ganime.training.distributed import Processes
from ganime.training.losses import discriminator_loss, generator_loss
from ganime.training.run_folder import TrainingState

Augmentation = Callable[["Tensor"], "Tensor"]  # differentiable; (B, 3, S, S) in and out


def unchanged(images: Tensor) -> Tensor:
    """The augmentation of a step without one."""
    return images


class TrainStep:
    """Updates both nets of a run by one step of the adversarial game.

    The critic, where the run has one, is trained and weighted like a second discriminator.

    state: the nets and optimisers; a step changes them in place.
    config: for the loss, the precision and the weight of the critic.
    processes: average the gradients.
    """

    def __init__(self, state: TrainingState, config: TrainConfig, processes: Processes) -> None:
        self.state, self.loss, self.processes = state, config.loss, processes
        self.autocast: Callable[[], AbstractContextManager] = precision_context(config.precision, processes.device)
        self.weights = [1.0] if state.critic is None else [1.0, config.critic * state.critic.views]
        self.judge_parameters = [one for net in state.judges for one in net.parameters() if one.requires_grad]

    def __call__(
        self, real: Float[Tensor, "b 3 s s"], z: Float[Tensor, "b latent"], augment: Augmentation = unchanged
    ) -> Float[Tensor, " 4"]:
        """Make one step of both nets.

        real: faces in [-1, 1]. z: latents of as many generated faces. augment: applied to real and generated faces.
        Returns the losses of discriminator and generator and the discriminator's mean logits for real and generated
        faces. The critic's are left out.
        """
        with self.autocast():
            fake = self.state.generator(z)  # (B, 3, S, S)
        d_loss, real_logits, fake_logits = self.discriminator_step(real, fake.detach(), augment)
        g_loss = self.generator_step(fake, augment)
        return torch.stack([d_loss, g_loss, real_logits.mean(), fake_logits.mean()]).detach()  # (4,)

    def discriminator_step(
        self, real: Float[Tensor, "b 3 s s"], fake: Float[Tensor, "b 3 s s"], augment: Augmentation
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Update discriminator and critic. Returns the discriminator's loss and its logits for real and fake."""
        with self.autocast():
            logits = [judge(net, augment(real), augment(fake.float())) for net in self.state.judges]
        losses = [discriminator_loss(self.loss, *pair) for pair in logits]
        self.state.discriminator_optimizer.zero_grad(set_to_none=True)
        weighted_sum(self.weights, losses).backward()
        self.processes.average(self.judge_parameters)
        self.state.discriminator_optimizer.step()
        return losses[0], *logits[0]

    def generator_step(self, fake: Float[Tensor, "b 3 s s"], augment: Augmentation) -> Tensor:
        """Update the generator, from which `fake` came. Returns its loss under the discriminator."""
        set_requires_grad(self.judge_parameters, False)  # spares their gradients
        with self.autocast():
            logits = [net(augment(fake.float())).float() for net in self.state.judges]  # (B,) or (B, L) each
        losses = [generator_loss(self.loss, one) for one in logits]
        self.state.generator_optimizer.zero_grad(set_to_none=True)
        weighted_sum(self.weights, losses).backward()
        self.processes.average(self.state.generator.parameters())
        self.state.generator_optimizer.step()
        set_requires_grad(self.judge_parameters, True)
        return losses[0]

    def abandon(self) -> None:
        """Make the nets ready for another step after an error in the middle of one."""
        set_requires_grad(self.judge_parameters, True)


def judge(
    net: Discriminator | FeatureCritic, real: Float[Tensor, "b 3 s s"], fake: Float[Tensor, "b 3 s s"]
) -> tuple[Tensor, Tensor]:
    """Logits for real and generated faces in fp32, (B,) each, or (B, L) of a critic with L logits a face.

    Both go through the net in one pass, except where BatchNorm would mix their statistics.
    """
    if isinstance(net, FeatureCritic) or net.config.discriminator_norm == "batch":
        return net(real).float(), net(fake).float()
    both = torch.cat([real, fake]).contiguous(memory_format=torch.channels_last)  # (2B, 3, S, S)
    logits = net(both).float()  # (2B,)
    return logits[: len(real)], logits[len(real) :]


def weighted_sum(weights: Sequence[float], losses: Sequence[Tensor]) -> Float[Tensor, ""]:
    """The sum of the losses, each times its weight."""
    return torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=True)]).sum()
