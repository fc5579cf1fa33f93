"""Noise and a cosmology in, maps of the density out."""

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement

import torch
from torch import Tensor, nn

from ._growth import growth
from ._periodic_unet import PeriodicUNet
from ._zeldovich import displaced

__all__ = ["DensityMapNetwork"]

# First and last of equal steps, and how many.
_Knots = tuple[float, float, int]
# What an empty pixel has before a logarithm is taken, in units of the mean.
_FLOOR = 0.01


class DensityMapNetwork(nn.Module):
    """
    Maps of the projected matter density, from white noise.

    White noise is given the power spectrum of the Gaussianised density at these
    conditions, in two fields that have long waves in common, as the nearer and
    the farther half of a slab have. Matter moved by each field, as if it were the
    linear contrast of a plane, makes a web of filaments, nodes and voids; a
    periodic U-Net adds what the two together lack, and a map of its values makes
    their distribution that of the density. Spectrum and distribution are
    polynomials of the conditions, fitted to simulations; the spectrum is such that
    the mapped Gaussian field has the power spectrum of the density (for the
    lognormal field: Coles & Jones 1991, MNRAS, 248, 1).

    Parameters
    ----------
    pixel : float
        Side of a pixel, comoving Mpc.
    log_k : (float, float, int)
        Natural logarithms of the smallest and the largest wave number (1/Mpc)
        at which the spectrum is known, and how many there are.
    values : (float, int)
        The distribution is known for Gaussian values from minus this to this,
        and how many there are.
    degree, correction_degree : int
        Of the polynomials, and of those by which webs and maps are corrected.
    limits : sequence of (float, float), optional
        Of the matter density, sigma8 today and the redshift: beyond, what is corrected is
        that of the limit.
    widths : sequence of int
        Channels of the network at 2, 4, 8, ... pixels.
    n_noise : int
        Channels of white noise that the network gets beside the fields.
    strength : float
        How far matter moves: in linear theory for 1, with the contrast that has
        the scatter of the density's logarithm.
    coherence : float
        The two fields correlate as a Gaussian of the wave number, which this
        comoving length (Mpc) is one over the width of.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks import DensityMapNetwork
    >>> network = DensityMapNetwork(pixel=2.0)
    >>> noise = torch.randn(1, network.n_channels, 32, 32)
    >>> network(noise, torch.tensor([[0.3, 0.8, 0.0]])).shape
    torch.Size([1, 32, 32])
    """

    centre: Tensor
    spread: Tensor
    spectrum: Tensor
    distribution: Tensor
    strength: Tensor
    coherence: Tensor

    def __init__(
        self,
        pixel: float,
        *,
        log_k: _Knots = (-7.0, 1.5, 52),
        values: tuple[float, int] = (6.0, 121),
        degree: int = 3,
        correction_degree: int = 3,
        limits: Sequence[tuple[float, float]] | None = None,
        widths: Sequence[int] = (24, 48, 72, 96),
        n_noise: int = 1,
        strength: float = 0.8,
        coherence: float = 8.0,
    ) -> None:
        super().__init__()
        self.pixel, self.correction_degree = float(pixel), correction_degree
        self.degree, self.limits = max(degree, correction_degree), limits
        self.log_k: _Knots = (log_k[0], log_k[1], log_k[2])
        self.values: _Knots = (-values[0], values[0], values[1])
        self.n_channels = 2 + n_noise
        n_terms, n_corrected = (math.comb(d + 3, 3) for d in (degree, correction_degree))
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("spread", torch.ones(3))
        # Logarithms of the power of the Gaussian field and of the density at Gaussian values.
        self.register_buffer("spectrum", torch.zeros(n_terms, log_k[2]))
        self.register_buffer("distribution", torch.zeros(n_terms, values[1]))
        self.register_buffer("strength", torch.tensor(strength))
        self.register_buffer("coherence", torch.tensor(coherence))
        self.web_correction, self.last_correction = (
            _Correction(n_corrected, log_k[2], values[1]) for _ in range(2)
        )
        self.network = PeriodicUNet(5 + n_noise, widths, n_conditions=3)

    def forward(self, noise: Tensor, conditions: Tensor) -> Tensor:
        """
        Maps of 1 + delta.

        Parameters
        ----------
        noise : `~torch.Tensor`, shape (n, n_channels, ny, nx)
            White, of variance 1.
        conditions : `~torch.Tensor`, shape (n, 3)
            Matter density today, sigma8 at the redshift, redshift.

        Returns
        -------
        density : `~torch.Tensor`, shape (n, ny, nx)
            In units of the mean; periodic.
        """
        fields = self.gaussian(noise[:, :2], conditions)
        return self.density(self.shaped(fields, noise[:, 2:], conditions), conditions)

    def gaussian(self, noise: Tensor, conditions: Tensor) -> Tensor:
        """
        The Gaussian fields that a map is made from.

        Parameters
        ----------
        noise : `~torch.Tensor`, shape (n, 2, ny, nx)
            White, of variance 1.
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.

        Returns
        -------
        fields : `~torch.Tensor`, shape (n, 2, ny, nx)
            Of variance 1, but for what scatters from map to map.
        """
        shape = noise.shape[-2:]
        ky, kx = self._waves(shape)
        common = (-(self.coherence**2) * (ky**2 + kx**2) / 2).exp()
        first, second = torch.fft.rfft2(noise).unbind(1)
        second = common * first + (1 - common**2).sqrt() * second
        power = self.at_wave_numbers(self.spectrum, conditions, shape)
        waves = torch.stack([first, second], 1) * (power / 2).exp()[:, None] / self.pixel
        return torch.fft.irfft2(waves, s=shape)

    def web(self, fields: Tensor, conditions: Tensor) -> Tensor:
        """
        Matter moved by the Gaussian fields, in Gaussianised values.

        Parameters
        ----------
        fields : `~torch.Tensor`, shape (n, 2, ny, nx)
            From `gaussian`.
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.

        Returns
        -------
        web : `~torch.Tensor`, shape (n, ny, nx)
            Gradients do not pass.
        """
        scatter = self._scatter(conditions)[:, None, None]
        moved = displaced((self.strength * scatter[:, None] * fields).flatten(0, 1))
        moved = moved.view_as(fields).mean(1)
        # Nothing moves in or out: the mean stays in the fields as an infinitely long wave.
        mean = fields.detach().mean((1, 2, 3))[:, None, None]
        web = (moved + _FLOOR).log() / scatter + mean
        return self.corrected(web, conditions, self.web_correction)

    def shaped(self, fields: Tensor, noise: Tensor, conditions: Tensor) -> Tensor:
        """
        The web with what the network adds.

        Parameters
        ----------
        fields : `~torch.Tensor`, shape (n, 2, ny, nx)
            From `gaussian`.
        noise : `~torch.Tensor`, shape (n, n_noise, ny, nx)
            White, of variance 1.
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.

        Returns
        -------
        values : `~torch.Tensor`, shape (n, ny, nx)
            Filaments, nodes and voids, in Gaussianised values.
        """
        return self.refined(self.web(fields, conditions), fields, noise, conditions)

    def refined(self, web: Tensor, fields: Tensor, noise: Tensor, conditions: Tensor) -> Tensor:
        """
        The second part of `shaped`.

        Parameters
        ----------
        web : `~torch.Tensor`, shape (n, ny, nx)
            From `web`.
        fields, noise, conditions : `~torch.Tensor`
            As for `shaped`.

        Returns
        -------
        values : `~torch.Tensor`, shape (n, ny, nx)
            As from `shaped`.
        """
        maps = torch.cat([web[:, None], fields, self._shear(fields.mean(1)), noise], dim=1)
        added = self.network(maps, self.standard(conditions))
        return self.corrected(web + added, conditions, self.last_correction)

    def corrected(self, field: Tensor, conditions: Tensor, correction: "_Correction") -> Tensor:
        """
        A field without what it has wrong of spectrum and distribution.

        Parameters
        ----------
        field : `~torch.Tensor`, shape (n, ny, nx)
            Moved matter, or a web with what the network adds.
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.
        correction : `~torch.nn.Module`
            ``web_correction`` or ``last_correction``.

        Returns
        -------
        field : `~torch.Tensor`, shape (n, ny, nx)
            Filtered, then shifted; unchanged where nothing has been fitted.
        """
        conditions = self._within_limits(conditions)
        if correction.filter.any():
            factor = self.at_wave_numbers(correction.filter, conditions, field.shape[-2:]).exp()
            field = torch.fft.irfft2(torch.fft.rfft2(field) * factor, s=field.shape[-2:])
        if correction.shift.any():
            shift = _at(self.terms(conditions), correction.shift)
            field = field + _interpolate(shift, self.values, field)
        return field

    def _within_limits(self, conditions: Tensor) -> Tensor:
        """The nearest conditions for which corrections were fitted, shape (n, 3)."""
        if self.limits is None:
            return conditions
        matter, sigma8, redshift = conditions.unbind(1)
        asked = matter, sigma8 / growth(matter, redshift), redshift
        matter, today, redshift = (
            x.clamp(*ends) for x, ends in zip(asked, self.limits, strict=True)
        )
        return torch.stack([matter, today * growth(matter, redshift), redshift], 1)

    def density(self, field: Tensor, conditions: Tensor) -> Tensor:
        """
        From Gaussianised values to densities.

        Parameters
        ----------
        field : `~torch.Tensor`, shape (n, ny, nx)
            Gaussianised values.
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.

        Returns
        -------
        density : `~torch.Tensor`, shape (n, ny, nx)
            1 + delta.
        """
        return self.log_density(field, conditions).exp()

    def log_density(self, field: Tensor, conditions: Tensor) -> Tensor:
        """
        From Gaussianised values to logarithms of densities.

        Parameters
        ----------
        field : `~torch.Tensor`, shape (n, ny, nx)
            Gaussianised values.
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.

        Returns
        -------
        logarithms : `~torch.Tensor`, shape (n, ny, nx)
            Of 1 + delta, whose mean is 1 where the values are Gaussian.
        """
        return _interpolate(self._table(conditions), self.values, field)

    def gaussianised(self, density: Tensor, conditions: Tensor) -> Tensor:
        """
        From densities to Gaussianised values: the inverse of `density`.

        Parameters
        ----------
        density : `~torch.Tensor`, shape (n, ny, nx)
            1 + delta.
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.

        Returns
        -------
        field : `~torch.Tensor`, shape (n, ny, nx)
            Within the range of ``values``.
        """
        table = self._table(conditions)
        wanted = density.clamp_min(1e-8).log().flatten(1)
        above = torch.searchsorted(table, wanted).clamp(1, table.shape[1] - 1)
        low, high = table.gather(1, above - 1), table.gather(1, above)
        first, last, m = self.values
        at = above - 1 + ((wanted - low) / (high - low)).clamp(0, 1)
        return (first + at * (last - first) / (m - 1)).view_as(density)

    def _table(self, conditions: Tensor) -> Tensor:
        """Logarithms of the densities at ``values``, shape (n, m)."""
        table = _at(self.terms(conditions), self.distribution)
        gauss = self._gauss()
        mean = torch.logsumexp(table + gauss, 1, keepdim=True) - torch.logsumexp(gauss, 0)
        return table - mean

    def _scatter(self, conditions: Tensor) -> Tensor:
        """Standard deviation of the logarithms of the densities, shape (n,)."""
        table = self._table(conditions)
        weights = self._gauss().softmax(0)
        mean = (table * weights).sum(1, keepdim=True)
        # A network without a distribution yet has the same density everywhere.
        return ((table - mean).square() * weights).sum(1).sqrt().clamp_min(1e-6)

    def _gauss(self) -> Tensor:
        """Logarithm of the normal distribution at ``values``, but for a constant, shape (m,)."""
        kind = {"dtype": self.centre.dtype, "device": self.centre.device}
        return torch.linspace(*self.values, **kind).square().neg() / 2

    def standard(self, conditions: Tensor) -> Tensor:
        """
        Logarithms of the conditions, as the network takes them.

        Parameters
        ----------
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.

        Returns
        -------
        numbers : `~torch.Tensor`, shape (n, 3)
            With mean 0 and variance 1 over the training set.
        """
        matter, sigma8, redshift = conditions.unbind(1)
        numbers = torch.stack([matter.log(), sigma8.log(), (1 + redshift).log()], 1)
        return (numbers - self.centre) / self.spread

    def terms(self, conditions: Tensor) -> Tensor:
        """
        What the spectrum and the distribution are polynomials of.

        Parameters
        ----------
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.

        Returns
        -------
        terms : `~torch.Tensor`, shape (n, m)
            All products of up to ``degree`` or ``correction_degree``, the larger, of their
            logarithms, standardised; those of fewer first.
        """
        numbers = self.standard(conditions)
        products = [
            numbers[:, list(chosen)].prod(1)
            for order in range(self.degree + 1)
            for chosen in combinations_with_replacement(range(3), order)
        ]
        return torch.stack(products, 1)

    def _waves(self, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Wave numbers (1/Mpc) along y and x of the modes of a map."""
        ny, nx = shape
        kind = {"dtype": self.centre.dtype, "device": self.centre.device}
        ky = torch.fft.fftfreq(ny, self.pixel, **kind)
        kx = torch.fft.rfftfreq(nx, self.pixel, **kind)
        return 2 * math.pi * ky[:, None], 2 * math.pi * kx

    def at_wave_numbers(
        self, coefficients: Tensor, conditions: Tensor, shape: Sequence[int]
    ) -> Tensor:
        """
        Polynomials such as ``spectrum`` for each mode of a map.

        Parameters
        ----------
        coefficients : `~torch.Tensor`, shape (m, k)
            For each term, or the first of them, and each of the wave numbers ``log_k``.
        conditions : `~torch.Tensor`, shape (n, 3)
            As for `forward`.
        shape : (int, int)
            Of the map.

        Returns
        -------
        values : `~torch.Tensor`, shape (n, ny, nx // 2 + 1)
            In the order of `torch.fft.rfft2`; longer and shorter waves than are
            known have the values of the last known ones, and the mean of the map
            those of waves longer than the map.
        """
        ky, kx = self._waves(shape)
        first, last, _ = self.log_k
        k = torch.hypot(ky, kx)
        # The mean of the map stands for all waves that are longer than the map: their RMS.
        k[0, 0] = 2 * math.pi / self.pixel * math.hypot(*(1 / n for n in shape)) / math.sqrt(12)
        k = k.clamp(math.exp(first), math.exp(last)).log()
        return _interpolate(_at(self.terms(conditions), coefficients), self.log_k, k[None])

    def _shear(self, field: Tensor) -> Tensor:
        """The two components of the tidal field without trace, shape (n, 2, ny, nx)."""
        ky, kx = self._waves(field.shape[-2:])
        square = (ky**2 + kx**2).clamp_min(1e-12)
        waves = torch.fft.rfft2(field)
        # A wave at the Nyquist frequency has no sign.
        parts = [waves * (kx**2 - ky**2) / square, waves * 2 * kx * ky / square]
        return torch.fft.irfft2(torch.stack(parts, 1), s=field.shape[-2:])


class _Correction(nn.Module):
    """Logarithm of an isotropic filter, and what is added to values; both polynomials."""

    filter: Tensor
    shift: Tensor

    def __init__(self, n_terms: int, n_wave_numbers: int, n_values: int) -> None:
        super().__init__()
        self.register_buffer("filter", torch.zeros(n_terms, n_wave_numbers))
        self.register_buffer("shift", torch.zeros(n_terms, n_values))


def _at(terms: Tensor, coefficients: Tensor) -> Tensor:
    """Polynomials of the first terms; not a matrix product, which autocast would round."""
    return (terms[:, : len(coefficients), None] * coefficients).sum(1)


def _interpolate(table: Tensor, knots: _Knots, x: Tensor) -> Tensor:
    """
    Linear interpolation, and extrapolation, in rows of values at equal steps.

    ``table`` has the shape (n, m) and ``x`` (n or 1, ...).
    """
    first, last, m = knots
    at = (x - first) * ((m - 1) / (last - first))
    low = at.detach().floor().clamp(0, m - 2)
    # NaN gives NaN, not a place outside the table.
    index = low.long().clamp_min(0).expand(len(table), *x.shape[1:]).flatten(1)
    below, above = table.gather(1, index), table.gather(1, index + 1)
    part = (at - low).expand(len(table), *x.shape[1:])
    shape = part.shape
    return below.view(shape) + (above - below).view(shape) * part
