"""Teach a network to make maps that a critic cannot tell from simulated ones."""

from typing import Any

import lightning
import torch
from critic import Critic
from shapes import RunningDifference, RunningSquare
from torch import Tensor, nn
from torch.nn.functional import softplus

from astrodlkit.engine import resolve_precision
from astrodlkit.networks import DensityMapNetwork
from astrodlkit.training import step_generator, warm_up_and_cosine

# Where it is not emulated.
BFLOAT16 = resolve_precision("auto", torch.device("cpu"), difference=lambda: 0.0) == "bfloat16"
# Bins of the modes of a map, in units of the Nyquist frequency.
EDGES = torch.cat([torch.tensor([0.01]), torch.logspace(-1.3, 0, 18), torch.tensor([1.2, 1.42])])
# The critic sees one piece of each square of so many pixels.
BLOCK = 128
# Sorted pixels that are compared, and of the first and last ones.
N_QUANTILES, ENDS = 64, (2, 9, 29)


class AdversarialTask(lightning.LightningModule):
    """
    A network and its critic, trained in turns.

    The critic sees pieces of a simulated and an emulated map of the same conditions side by side
    (a relativistic pair: Jolicoeur-Martineau 2019, ICLR), with its gradients kept small at both
    (R1 and R2: Huang et al. 2024, NeurIPS). The network is held to the expected spectrum and the
    expected values besides, and to what excursion sets and peaks are on the mean (``shapes.py``).

    Parameters
    ----------
    network : DensityMapNetwork
        From ``prior.make_network``.
    power : Tensor
        Of the densities, in the form of the network's ``spectrum``.
    max_steps : int
        Pairs of steps, one of the critic's and one of the network's.
    minutes : float, optional
        End by the clock instead.
    crop : int
        Pixels of the pieces.
    rate, critic_rate : float
        Largest learning rates.
    gamma : float
        Weight of the gradients' squares.
    penalty_every : int
        Steps between those with gradients.
    spectrum_weight, values_weight, shapes_weight, lattice_weight : float
        Of what holds the network.
    seed : int
        Of noise and pieces.
    """

    def __init__(
        self,
        network: DensityMapNetwork,
        power: Tensor,
        *,
        max_steps: int,
        minutes: float | None = None,
        crop: int = 64,
        rate: float = 3e-4,
        critic_rate: float = 4e-4,
        gamma: float = 0.2,
        penalty_every: int = 4,
        spectrum_weight: float = 150.0,
        values_weight: float = 300.0,
        shapes_weight: float = 600.0,
        lattice_weight: float = 100.0,
        seed: int = 0,
        critic: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.register_buffer("power", power)
        self.network, self.critic = network, Critic(**(critic or {}))
        self.max_steps, self.crop, self.seed = max_steps, crop, seed
        self.rate, self.critic_rate, self.minutes = rate, critic_rate, minutes
        self.gamma, self.penalty_every = gamma, penalty_every
        self.shapes, self.spectrum = RunningDifference(), RunningSquare(len(EDGES) - 1)
        self.values = RunningSquare(N_QUANTILES + 2 * len(ENDS))
        self.weights = {
            "spectrum": spectrum_weight,
            "values": values_weight,
            "shapes": shapes_weight,
            "lattice": lattice_weight,
        }

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """One step of the critic and one of the network."""
        maps, conditions = batch
        step = self.global_step // 2
        generator = step_generator(self.seed, step, maps.device)
        shape = len(maps), self.network.n_channels, *maps.shape[1:]
        noise = torch.randn(shape, generator=generator, device=maps.device)
        critic_optimizer, optimizer = self.optimizers()
        fields = self.network.gaussian(noise[:, :2], conditions)
        true = self.network.gaussianised(maps, conditions)
        web = self.network.web(fields, conditions)
        with self._half():
            made = self.network.refined(web, fields, noise[:, 2:], conditions)
        made = made.float()

        each = conditions.repeat_interleave(max(1, maps.shape[-1] // BLOCK) ** 2, 0)
        pieces = [self._pieces(field, each, generator) for field in (true, made)]
        self.critic.requires_grad_(True)
        loss = self._critic_loss(*(p.detach() for p in pieces), each, step)
        critic_optimizer.zero_grad()
        self.manual_backward(loss)
        nn.utils.clip_grad_norm_(self.critic.parameters(), 10.0)
        critic_optimizer.step()

        self.critic.requires_grad_(False)
        scores = self._scores(pieces[1], each) - self._scores(pieces[0], each)
        losses = {
            "adversarial": softplus(-scores).mean(),
            "spectrum": self._spectrum_loss(made, web, conditions),
            "values": self._values_loss(made, web, conditions),
            "shapes": self.shapes(made, true, self.network.standard(conditions)),
            "lattice": self._lattice_loss(made - web),
        }
        optimizer.zero_grad()
        self.manual_backward(sum(self.weights.get(n, 1.0) * part for n, part in losses.items()))
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        optimizer.step()
        for schedule in self.lr_schedulers():
            schedule.step()
        self.log_dict({"critic": loss, **losses})

    def _pieces(self, field: Tensor, conditions: Tensor, generator: torch.Generator) -> Tensor:
        """What the critic sees of maps: Gaussianised values, and logarithms of the densities."""
        side = field.shape[-1]
        y, x = torch.randint(side, (2,), generator=generator, device=generator.device).tolist()
        block = min(BLOCK, side)
        field = field.roll((y, x), (1, 2)).unfold(1, block, block).unfold(2, block, block)
        field = field.flatten(0, 2)[:, : self.crop, : self.crop]
        return torch.stack([field, self.network.log_density(field, conditions) / 2], 1)

    def _half(self) -> torch.autocast:
        """Where numbers of 16 bits will do."""
        kind = self.device.type
        return torch.autocast(kind, torch.bfloat16, enabled=BFLOAT16 or kind == "cuda")

    def _scores(self, pieces: Tensor, conditions: Tensor) -> Tensor:
        with self._half():
            return self.critic(pieces, self.network.standard(conditions))

    def _critic_loss(self, true: Tensor, made: Tensor, conditions: Tensor, step: int) -> Tensor:
        penalised = step % self.penalty_every == 0
        true.requires_grad_(penalised)
        made.requires_grad_(penalised)
        scores = self._scores(true, conditions), self._scores(made, conditions)
        loss = softplus(scores[1] - scores[0]).mean()
        if penalised:
            # The mean over the patches: each sees a part of the pixels.
            gradients = torch.autograd.grad(
                sum(part.mean(1).sum() for part in scores), (true, made), create_graph=True
            )
            square = sum(part.square().sum((1, 2, 3)).mean() for part in gradients)
            loss = loss + self.gamma / 2 * self.penalty_every * square
        return loss

    def _spectrum_loss(self, made: Tensor, web: Tensor, conditions: Tensor) -> Tensor:
        """
        Square of what the power is off on the mean and along conditions, a mean over bins.

        It is compared with that of the web it was made from, which has what is expected on the mean
        and most of what scatters.
        """
        expected = self._binned(
            self.network.at_wave_numbers(self.power, conditions, made.shape[-2:]).exp()
        )
        found, start = (
            self._binned(self._power(self.network.density(x, conditions))) / expected
            for x in (made, web)
        )
        return self.spectrum(found - start, self.network.standard(conditions))

    def _power(self, density: Tensor) -> Tensor:
        return (torch.fft.rfft2(density).abs() / density.shape[-1] * self.network.pixel) ** 2

    def _binned(self, power: Tensor) -> Tensor:
        """Mean power in bins, (n, bins)."""
        n = power.shape[-2]
        device = power.device
        along = torch.fft.fftfreq(n, device=device)[:, None], torch.fft.rfftfreq(n, device=device)
        place = torch.bucketize(2 * torch.hypot(*along), EDGES.to(device)).flatten() - 1
        place = place.clamp(-1, len(EDGES) - 2) + 1
        total = power.new_zeros(len(power), len(EDGES)).index_add(1, place, power.flatten(1))
        return (total / torch.bincount(place, minlength=len(EDGES)))[:, 1:]

    def _values_loss(self, made: Tensor, web: Tensor, conditions: Tensor) -> Tensor:
        """Square of what sorted pixels are off those of the web, as for the spectrum."""
        found, start = (x.flatten(1).sort(1).values for x in (made, web))
        last = found.shape[1] - 1
        at = torch.linspace(0, last, N_QUANTILES).long()
        at = torch.cat([at, torch.tensor([*ENDS, *(last - i for i in ENDS)])]).to(made.device)
        return self.values(found[:, at] - start[:, at], self.network.standard(conditions))

    def _lattice_loss(self, added: Tensor) -> Tensor:
        """
        Variance of the mean, and of the mean square, of what is added, over places in a block.

        A network that halves maps knows where in its blocks of 16 pixels it is, and would put a
        clump into each.
        """
        step = self.network.network.step
        loss = added.new_zeros(())
        for values in (added, added.square()):
            blocks = values.unfold(1, step, step).unfold(2, step, step)
            loss = loss + blocks.mean((0, 1, 2)).var()
        return loss

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """Adam without momentum, up and along a cosine to zero."""
        optimizers = [
            torch.optim.Adam(module.parameters(), lr=rate, betas=(0.0, 0.99))
            for module, rate in ((self.critic, self.critic_rate), (self.network, self.rate))
        ]
        schedules = [
            warm_up_and_cosine(o, self.max_steps, minutes=self.minutes) for o in optimizers
        ]
        return optimizers, schedules
