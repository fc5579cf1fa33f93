"""What the three candidates learn: an autoencoder, a generator against a critic, and both."""

from typing import Any

import lightning
import torch
from critic import Critic, seen
from rows import add_noise
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, softplus

from astrodlkit.engine import resolve_precision
from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.training import step_generator, warm_up_and_cosine

# Where it is not emulated.
BFLOAT16 = resolve_precision("auto", torch.device("cpu"), difference=lambda: 0.0) == "bfloat16"
CANDIDATES = ("vae", "gan", "vae-gan")
# What a template may be off where it is bright, and how many pixels are one independent number.
TOLERANCE, PIXELS = 0.04, 8.0
# Nats that each of a galaxy's latent numbers may have for nothing.
FREE = 0.05


class TemplateTask(lightning.LightningModule):
    """
    A network, and what it learns by.

    As an autoencoder it is given templates with their noise and has to make them without: what a
    pixel may be off is its noise and a share of the light around it, so that noise costs nothing
    and is not worth a latent number. A flow learns beside it what numbers the encoder finds.

    The critic sees a real template and a generated one of the same conditions side by side (a
    relativistic pair: Jolicoeur-Martineau 2019, ICLR), with its gradients kept small at both (R1
    and R2: Huang et al. 2024, NeurIPS); the generated one gets as much noise as the real one has.
    Beside an autoencoder the generated one is what is made of the real one (Larsen et al. 2016,
    ICML): of latent numbers that the flow draws, all would come to look alike.

    Parameters
    ----------
    network : GalaxyTemplateNetwork
        Whose conditions are fitted.
    candidate : {"vae", "gan", "vae-gan"}
        Which of the two, or both.
    max_steps : int
        Of the network; each is beside one of the critic's.
    rate, critic_rate : float
        Largest learning rates; by default those of the candidate.
    gamma : float
        Weight of the critic's squared gradients.
    penalty_every : int
        Steps between those with gradients.
    adversarial : float
        Weight of the critic beside the autoencoder.
    seed : int
        Of latent numbers and noise.
    """

    def __init__(
        self,
        network: GalaxyTemplateNetwork,
        candidate: str,
        *,
        max_steps: int,
        rate: float | None = None,
        critic_rate: float = 3e-4,
        gamma: float = 1.0,
        penalty_every: int = 4,
        adversarial: float = 1e4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.max_steps, self.seed = network, max_steps, seed
        self.encodes, self.criticised = candidate != "gan", candidate != "vae"
        self.rate = rate or {"vae": 1e-3, "gan": 3e-4, "vae-gan": 2e-4}[candidate]
        self.critic_rate, self.gamma, self.penalty_every = critic_rate, gamma, penalty_every
        self.weights = {"adversarial": adversarial if self.encodes else 1.0}
        # A network that has learned before has nothing to be warmed up for.
        self.warm_up = max_steps // 10 if candidate == "vae" else 0
        self.critic = Critic(len(network.condition_names)) if self.criticised else None

    def training_step(self, batch: dict[str, Tensor], _: int) -> None:
        """One step of the network, and one of the critic where there is one."""
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        step = self.global_step // len(optimizers)
        generator = step_generator(self.seed, step)
        losses: dict[str, Tensor] = {}
        if self.encodes:
            made, losses = self._autoencoder(batch, generator, step)
        else:
            made = self._generated(batch, generator)
        if self.critic is not None:
            axis_ratio = self.network.column(batch["conditions"], "axis_ratio")
            made = add_noise(made, batch, axis_ratio, generator)
            with torch.no_grad():
                profile = self.network.profile(batch["conditions"])
            real = seen(batch["templates"], profile)
            numbers = self.network.deck.standard(batch["conditions"])
            self.critic.requires_grad_(True)
            loss = self._critic_loss(real, seen(made.detach(), profile), numbers, step)
            optimizers[1].zero_grad()
            self.manual_backward(loss)
            nn.utils.clip_grad_norm_(self.critic.parameters(), 10.0)
            optimizers[1].step()
            self.log("critic", loss)
            self.critic.requires_grad_(False)
            ahead = self._scores(seen(made, profile), numbers) - self._scores(real, numbers)
            losses["adversarial"] = softplus(-ahead).mean()
        total = sum(self.weights.get(name, 1.0) * part for name, part in losses.items())
        optimizers[0].zero_grad()
        self.manual_backward(total)
        nn.utils.clip_grad_norm_(self.network.parameters(), 200.0 if self.encodes else 5.0)
        optimizers[0].step()
        schedules = self.lr_schedulers()
        for schedule in schedules if isinstance(schedules, list) else [schedules]:
            schedule.step()
        self.log_dict(losses)

    def _autoencoder(
        self, batch: dict[str, Tensor], generator: torch.Generator, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What is made of the batch's templates, and what it costs."""
        light, conditions = batch["templates"], batch["conditions"]
        with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
            mean, log_variance = self.network.posterior(light, conditions)
            noise = torch.randn(len(mean), self.network.n_latent, generator=generator)
            own = mean + (log_variance / 2).exp() * noise[:, : mean.shape[1]]
            made = self.network.decode(torch.cat([own, noise[:, mean.shape[1] :]], 1), conditions)
        nats = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
        part = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        numbers = self.network.deck.standard(conditions)
        gaussian, volume = self.network.flow.inverse(own.detach(), numbers)
        return made, {
            "picture": self._off(made, batch),
            "latent": part * nats.mean(0).clamp_min(FREE).sum(),
            "flow": (gaussian.square().sum(1) / 2 - volume).mean(),
        }

    def _off(self, made: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """How unlikely templates are, given what was made of them; large errors count less."""
        light = batch["templates"]
        around = avg_pool2d(light, 5, stride=1, padding=2).clamp_min(0)
        variance = batch["noise"][:, :, None, None] ** 2 + (TOLERANCE * around) ** 2 + 1e-12
        square = (made - light) ** 2 / variance
        return ((1 + square / 9).sqrt() - 1).sum((1, 2, 3)).mean() * 9 / PIXELS

    def _generated(self, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """Templates of the batch's conditions."""
        conditions = batch["conditions"]
        latent = torch.randn(len(conditions), self.network.n_latent, generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
            return self.network(latent, conditions)

    def _scores(self, maps: Tensor, numbers: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
            return self.critic(maps, numbers)

    def _critic_loss(self, real: Tensor, made: Tensor, numbers: Tensor, step: int) -> Tensor:
        penalised = step % self.penalty_every == 0
        real.requires_grad_(penalised)
        made.requires_grad_(penalised)
        scores = self._scores(real, numbers), self._scores(made, numbers)
        loss = softplus(scores[1] - scores[0]).mean()
        if penalised:
            gradients = torch.autograd.grad(
                sum(part.sum() for part in scores), (real, made), create_graph=True
            )
            square = sum(part.square().sum((1, 2, 3)).mean() for part in gradients)
            loss = loss + self.gamma / 2 * self.penalty_every * square
        real.requires_grad_(False)
        return loss

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """Adam, without momentum where there is a critic; up and along a cosine to zero."""
        betas = (0.0, 0.99) if self.criticised else (0.9, 0.99)
        optimizers = [torch.optim.Adam(self.network.parameters(), lr=self.rate, betas=betas)]
        if self.critic is not None:
            critic = torch.optim.Adam(
                self.critic.parameters(), lr=self.critic_rate, betas=(0.0, 0.99)
            )
            optimizers.append(critic)
        return optimizers, [warm_up_and_cosine(o, self.max_steps) for o in optimizers]
