"""What the candidates learn: an autoencoder, a generator against a critic, both, or textures."""

from collections.abc import Sequence
from typing import Any

import lightning
import torch
from critic import Critic, seen
from energy import TextureDistance
from features import Reader
from rows import add_noise
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, softplus

from astrodlkit.engine import resolve_precision
from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.training import step_generator, warm_up_and_cosine

# Where it is not emulated.
BFLOAT16 = resolve_precision("auto", torch.device("cpu"), difference=lambda: 0.0) == "bfloat16"
CANDIDATES = ("vae", "gan", "vae-gan", "vae-textures")
RATES = {"vae": 1e-3, "gan": 3e-4, "vae-gan": 2e-4, "vae-textures": 3e-4}
# What a template may be off where it is bright, and how many pixels are one independent number.
TOLERANCE, PIXELS = 0.04, 8.0
# Where there is a critic, pictures are compared in blocks of so many pixels: the rest is its own.
COARSE = 4
# Nats that each of a galaxy's latent numbers may have for nothing.
FREE = 0.05
# Standard deviation, in theirs, of what is added to the conditions that the critic is told: no two
# galaxies have the same, and it would know each by them.
VAGUE = 0.25


class TemplateTask(lightning.LightningModule):
    """
    A network, and what it learns by.

    As an autoencoder it is given templates with their noise and has to make them without: what a
    pixel may be off is its noise and a share of the light around it, so that noise costs nothing
    and is not worth a latent number. A flow learns beside it what numbers the encoder finds.

    The critic sees a real template and one of drawn latent numbers and the same conditions side by
    side (a relativistic pair: Jolicoeur-Martineau 2019, ICLR), with its gradients kept small at
    both (R1 and R2: Huang et al. 2024, NeurIPS); the generated one gets as much noise as the real
    one has. The encoder has to find the numbers that were drawn (as Chen et al. 2016, NeurIPS;
    Zhu et al. 2017, NeurIPS): without, galaxies of the same conditions come to look alike.

    Instead of a critic, templates of drawn numbers may have to have the textures of real ones of
    the same conditions. The autoencoder's have no fine structure then (the numbers of places are
    0), which is what the drawn ones learn to use.

    Parameters
    ----------
    network : GalaxyTemplateNetwork
        Whose conditions are fitted.
    candidate : {"vae", "gan", "vae-gan", "vae-textures"}
        Which of these.
    max_steps : int
        Of the network; each is beside one of the critic's.
    minutes : float, optional
        End by the clock instead.
    rate, critic_rate : float
        Largest learning rates; by default those of the candidate.
    gamma : float
        Weight of the critic's squared gradients.
    penalty_every : int
        Steps between those with gradients.
    share : float
        Gradient of the critic's score, or of the textures', in the last layer, of that of the
        pictures' loss.
    numbers : float
        Weight of the drawn numbers that are to be found, of the critic's score alone.
    reader : Reader, optional
        Whose features and answers are textures too.
    seed : int
        Of latent numbers and noise.
    """

    def __init__(
        self,
        network: GalaxyTemplateNetwork,
        candidate: str,
        *,
        max_steps: int,
        minutes: float | None = None,
        rate: float | None = None,
        critic_rate: float = 3e-4,
        gamma: float = 1.0,
        penalty_every: int = 4,
        share: float = 1.0,
        numbers: float = 0.01,
        reader: Reader | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.max_steps, self.minutes, self.seed = network, max_steps, minutes, seed
        self.encodes, self.criticised = candidate != "gan", candidate in ("gan", "vae-gan")
        self.rate = rate or RATES[candidate]
        self.critic_rate, self.gamma, self.penalty_every = critic_rate, gamma, penalty_every
        self.share, self.numbers = share, numbers
        # A network that has learned before has nothing to be warmed up for.
        self.warm_up = max_steps // 10 if candidate == "vae" else 0
        self.critic = Critic(len(network.condition_names)) if self.criticised else None
        self.textures = TextureDistance(network, reader) if candidate == "vae-textures" else None

    def on_fit_start(self) -> None:
        """Bring what does not learn to where the rest is."""
        if self.textures is not None and self.textures.reader is not None:
            self.textures.reader.to(self.device)

    def training_step(self, batch: dict[str, Tensor], _: int) -> None:
        """One step of the network, and one of the critic where there is one."""
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        step = self.global_step // len(optimizers)
        generator = step_generator(self.seed, step, self.device)
        losses = self._autoencoder(batch, generator, step) if self.encodes else {}
        if self.critic is not None:
            made, losses["numbers"] = self._drawn(batch, generator)
            ahead = self._criticised(made, batch, generator, step, optimizers[1])
            losses["adversarial"] = softplus(-ahead).mean()
        if self.textures is not None:
            losses["textures"] = self._textures_off(batch, generator)
        optimizers[0].zero_grad()
        self.manual_backward(self._total(losses))
        nn.utils.clip_grad_norm_(self.network.parameters(), 200.0 if self.encodes else 5.0)
        optimizers[0].step()
        schedules = self.lr_schedulers()
        for schedule in schedules if isinstance(schedules, list) else [schedules]:
            schedule.step()
        self.log_dict(losses)

    def _total(self, losses: dict[str, Tensor]) -> Tensor:
        """What the network is to make small."""
        weights = {} if self.encodes else {"numbers": self.numbers}
        beside = next((name for name in ("adversarial", "textures") if name in losses), None)
        if self.encodes and beside:
            last = self.network.decoder.leave.weight
            picture, other = (
                torch.autograd.grad(losses[name], last, retain_graph=True)[0].norm()
                for name in ("picture", beside)
            )
            weights[beside] = self.share * picture / other.clamp_min(1e-12)
        return sum(weights.get(name, 1.0) * part for name, part in losses.items())

    def _autoencoder(
        self, batch: dict[str, Tensor], generator: torch.Generator, step: int
    ) -> dict[str, Tensor]:
        """What templates cost that are encoded and made again."""
        conditions = batch["conditions"]
        with self._half():
            mean, log_variance = self.network.posterior(batch["templates"], conditions)
            noise = self._normal((len(mean), self.network.n_latent), generator)
            noise, places = noise.tensor_split([mean.shape[1]], 1)
            if self.textures is not None:
                places = torch.zeros_like(places)
            own = mean + (log_variance / 2).exp() * noise
            made = self.network.decode(torch.cat([own, places], 1), conditions)
        nats = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
        part = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        numbers = self.network.deck.standard(conditions)
        gaussian, volume = self.network.flow.inverse(own.detach(), numbers)
        return {
            "picture": self._off(made, batch),
            "latent": part * nats.mean(0).clamp_min(FREE).sum(),
            "flow": (gaussian.square().sum(1) / 2 - volume).mean(),
        }

    def _off(self, made: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """How unlikely templates are, given what was made of them; large errors count less."""
        light, noise = batch["templates"], batch["noise"][:, :, None, None]
        around = avg_pool2d(light, 5, stride=1, padding=2).clamp_min(0)
        block = COARSE if self.criticised else 1
        light, made, around = (avg_pool2d(x, block) for x in (light, made, around))
        # Noise of as many pixels is one number: it is as rough in larger blocks as in one of them.
        few = max(1.0, block**2 / PIXELS)
        variance = noise**2 / few + (TOLERANCE * around) ** 2 + 1e-12
        square = (made - light) ** 2 / variance
        pixels = max(1.0, PIXELS / block**2)
        return ((1 + square / 9).sqrt() - 1).sum((1, 2, 3)).mean() * 9 / pixels

    def _drawn(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noisy templates of drawn latent numbers, and how ill the encoder finds these (nats)."""
        made, own = self._made(batch, generator)
        with self._half():
            mean, log_variance = self.network.posterior(made, batch["conditions"])
        nats = (log_variance + (own - mean).square() * (-log_variance).exp()) / 2
        return made, nats.sum(1).mean()

    def _textures_off(self, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """How far templates of drawn latent numbers are from real ones in their textures."""
        made, _ = self._made(batch, generator)
        return self.textures(batch["templates"], made, batch["conditions"], generator)

    def _made(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noisy templates of drawn latent numbers, and what the encoder has to find in them."""
        conditions, n = batch["conditions"], self.network.n_global
        latent = self._normal((len(conditions), self.network.n_latent), generator)
        with torch.no_grad():
            # The flow follows the encoder alone.
            own = self.network.flow(latent[:, :n], self.network.deck.standard(conditions))
        with self._half():
            made = self.network.decode(torch.cat([own, latent[:, n:]], 1), conditions)
        axis_ratio = self.network.column(conditions, "axis_ratio")
        return add_noise(made, batch, axis_ratio, generator), own

    def _criticised(
        self,
        made: Tensor,
        batch: dict[str, Tensor],
        generator: torch.Generator,
        step: int,
        optimizer: Any,
    ) -> Tensor:
        """By how much the critic finds what was made more real, after a step of its own, (n,)."""
        with torch.no_grad():
            profile = self.network.profile(batch["conditions"])
            numbers = self.network.deck.standard(batch["conditions"])
            numbers = numbers + VAGUE * self._normal(numbers.shape, generator)
            real = seen(batch["templates"], profile, batch["noise"])
        looked = seen(made, profile, batch["noise"])
        self.critic.requires_grad_(True)
        loss = self._critic_loss(real, looked.detach(), numbers, step)
        optimizer.zero_grad()
        self.manual_backward(loss)
        nn.utils.clip_grad_norm_(self.critic.parameters(), 10.0)
        optimizer.step()
        self.log("critic", loss)
        self.critic.requires_grad_(False)
        with torch.no_grad():
            beside = self._scores(real, numbers)
        return self._scores(looked, numbers) - beside

    def _normal(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        return torch.randn(*shape, generator=generator, device=generator.device)

    def _half(self) -> torch.autocast:
        """Where numbers of 16 bits will do."""
        kind = self.device.type
        return torch.autocast(kind, torch.bfloat16, enabled=BFLOAT16 or kind == "cuda")

    def _scores(self, maps: Tensor, numbers: Tensor) -> Tensor:
        with self._half():
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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the textures are measured against: a training that goes on is the same."""
        if self.textures is not None:
            checkpoint["textures"] = [self.textures.real, self.textures.made]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it back."""
        if self.textures is not None:
            self.textures.real, self.textures.made = checkpoint["textures"]

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """Adam, without momentum where there is a critic; up and along a cosine to zero."""
        betas = (0.0, 0.99) if self.criticised else (0.9, 0.99)
        optimizers = [torch.optim.Adam(self.network.parameters(), lr=self.rate, betas=betas)]
        if self.critic is not None:
            critic = torch.optim.Adam(
                self.critic.parameters(), lr=self.critic_rate, betas=(0.0, 0.99)
            )
            optimizers.append(critic)
        schedules = [
            warm_up_and_cosine(o, self.max_steps, minutes=self.minutes) for o in optimizers
        ]
        return optimizers, schedules
