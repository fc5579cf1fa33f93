"""Pictures of galaxies with unit flux, from latent numbers and conditions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._coupling_flow import CouplingFlow
from ._hot_deck import HotDeck
from ._petrosian import elliptic_radius, petrosian_fade, petrosian_radius
from ._template_layers import PLACES, SIDES, Decoder, Encoder

__all__ = ["CONDITIONS", "GalaxyTemplateNetwork"]

CONDITIONS = (
    "class_completely_round", "class_in_between", "class_cigar_shaped", "class_edge_on",
    "class_spiral", "axis_ratio", "sersic_index", "concentration", "g_r", "r_i", "psf_fwhm",
    "t01_smooth_or_features_a01_smooth", "t02_edgeon_a04_yes", "t03_bar_a06_bar",
    "t04_spiral_a08_spiral", "t05_bulge_prominence_a10_no_bulge",
    "t05_bulge_prominence_a11_just_noticeable", "t05_bulge_prominence_a12_obvious",
    "t05_bulge_prominence_a13_dominant", "t06_odd_a14_yes", "t08_odd_feature_a19_ring",
    "t08_odd_feature_a21_disturbed", "t08_odd_feature_a22_irregular", "t08_odd_feature_a24_merger",
    "t08_odd_feature_a38_dust_lane", "t09_bulge_shape_a27_no_bulge", "t10_arms_winding_a28_tight",
    "t10_arms_winding_a29_medium", "t10_arms_winding_a30_loose", "t11_arms_number_a31_1",
    "t11_arms_number_a32_2", "t11_arms_number_a33_3", "t11_arms_number_a34_4",
    "t11_arms_number_a36_more_than_4",
)  # fmt: skip
# Brightness below which the encoder's stretch is linear, in units of a template's flux.
_SOFT = 4e-5
# Of the light where templates have ended.
_NOTHING = 1e-8
# Of the polynomial in which a template is made wider or narrower.
_TERMS = 9


class GalaxyTemplateNetwork(nn.Module):
    """
    Galaxies of unit flux and one size in g, r and i.

    A Sersic profile of the conditions' index and axis ratio is the start; the network adds to
    the logarithm of its brightness, and to its colours. It works in the plane of a disc that is
    seen at that axis ratio: arms and rings are round there. From 1.3 Petrosian radii on
    templates fade, to nothing at 2.1, as those that it learns from were made to. Convolutions make
    the picture from latent numbers for the galaxy and some for each place, scaled and shifted by
    the conditions (Perez et al. 2018, AAAI, 32, 3942); a layer of attention joins what is far
    apart (Zhang et al. 2019, ICML). An encoder goes the other way, and a flow makes Gaussian
    numbers into such as it finds (as Lanusse et al. 2021, MNRAS, 504, 5543).

    Parameters
    ----------
    condition_names : sequence of str
        In natural units. ``axis_ratio``, ``sersic_index``, ``g_r`` and ``r_i`` (AB) have to be
        among them; ``psf_fwhm`` is in half-light radii.
    widths : sequence of int
        Channels at 5, 10, 20 and 40 pixels.
    encoder_widths : sequence of int, optional
        The encoder's, which by default has the same: drawing does not need it.
    n_global : int
        Latent numbers of a galaxy, even.
    n_local : int
        Latent numbers of each of 20 by 20 places: fine structure, which the encoder leaves open,
        as what it found there could not be told from what belongs together.
    flow_layers, flow_hidden : int
        Couplings of the flow, and the size of their networks.
    n_table : int
        Rows of the training set that missing conditions are drawn from.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks import GalaxyTemplateNetwork
    >>> network = GalaxyTemplateNetwork()
    >>> nothing = torch.full((2, len(network.condition_names)), torch.nan)
    >>> conditions = network.complete(nothing, torch.rand(2, network.n_uniform))
    >>> templates = network(torch.randn(2, network.n_latent), conditions)
    >>> templates.shape
    torch.Size([2, 3, 80, 80])
    """

    side, half_light = 80, 9.0
    bands = ("g", "r", "i")
    n_uniform = 1
    centres: Tensor
    inside: Tensor
    outward: Tensor
    powers: Tensor

    def __init__(
        self,
        condition_names: Sequence[str] = CONDITIONS,
        *,
        widths: Sequence[int] = (192, 96, 48, 24),
        encoder_widths: Sequence[int] | None = None,
        n_global: int = 96,
        n_local: int = 2,
        flow_layers: int = 6,
        flow_hidden: int = 96,
        n_table: int = 4096,
    ) -> None:
        super().__init__()
        missing = {"axis_ratio", "sersic_index", "g_r", "r_i"} - set(condition_names)
        if missing:
            raise ValueError(f"condition_names must have {sorted(missing)} too")
        self.condition_names = tuple(condition_names)
        self.n_global, self.n_local = n_global, n_local
        self.n_latent = n_global + n_local * PLACES**2
        n = len(self.condition_names)
        self.deck = HotDeck(self.condition_names, n_table)
        self.flow = CouplingFlow(n_global, n, flow_layers, flow_hidden)
        self.decoder = Decoder(n, widths, n_global, n_local)
        self.encoder = Encoder(n, encoder_widths or widths, n_global)
        self._measure()

    def _measure(self) -> None:
        """What does not change: where pixels are, and how a template is made wider."""
        centres = torch.arange(self.side) - (self.side - 1) / 2
        radius = torch.hypot(centres[:, None], centres).flatten()
        # The circle that is as large as the pixels that are nearer; those on its edge in part.
        n = math.pi * self.half_light**2
        edge = radius.sort().values[int(n)]
        nearer, on_edge = (radius < edge - 1e-4).float(), ((radius - edge).abs() < 1e-4).float()
        inside = nearer + on_edge * (n - nearer.sum()) / on_edge.sum()
        outward = ((radius - self.half_light) / 6).tanh()
        powers = outward[:, None] ** torch.arange(_TERMS)
        powers = powers / torch.tensor([math.factorial(k) for k in range(_TERMS)])
        both = torch.cat([powers, powers * inside[:, None]], 1)
        for name, values in (
            ("centres", centres), ("inside", inside), ("outward", outward), ("powers", both),
        ):  # fmt: skip
            self.register_buffer(name, values, persistent=False)

    def forward(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """
        Templates of galaxies.

        Parameters
        ----------
        latent : `~torch.Tensor`, shape (n, n_latent)
            Gaussian, of variance 1.
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            In the order of ``condition_names``, without NaN.

        Returns
        -------
        templates : `~torch.Tensor` of float32, shape (n, 3, side, side)
            In g, r and i, positive. The sum over r is 1, the others' are those of the colours;
            half of r is within ``half_light`` pixels of the centre.
        """
        own, places = latent.float().tensor_split([self.n_global], 1)
        moved = self.flow(own, self.deck.standard(conditions.float()))
        return self.decode(torch.cat([moved, places], 1), conditions)

    def decode(self, code: Tensor, conditions: Tensor) -> Tensor:
        """
        Templates from what the encoder finds.

        Parameters
        ----------
        code : `~torch.Tensor`, shape (n, n_latent)
            The first ``n_global`` numbers as from `posterior`; the others Gaussian.
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            As for `forward`.

        Returns
        -------
        templates : `~torch.Tensor` of float32, shape (n, 3, side, side)
            As from `forward`.
        """
        conditions, fields = conditions.float(), self.fields(code, conditions)
        with torch.autocast(fields.device.type, enabled=False):
            return self._finished(self._tilted(fields, conditions), conditions)

    def fields(self, code: Tensor, conditions: Tensor) -> Tensor:
        """
        What `decode` adds to the logarithm of the profile and to the colours.

        Parameters
        ----------
        code, conditions : `~torch.Tensor`
            As for `decode`.

        Returns
        -------
        fields : `~torch.Tensor` of float32, shape (n, 3, side, side)
            In the plane of the disc.
        """
        code, conditions = code.float(), conditions.float()
        own, places = code[:, : self.n_global], code[:, self.n_global :]
        places = places.reshape(len(code), self.n_local, PLACES, PLACES)
        numbers, maps = self.deck.standard(conditions), self._face_on(conditions)
        return self.decoder(own, places, numbers, maps).float()

    def posterior(self, templates: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """
        The latent numbers that templates may have come from.

        Parameters
        ----------
        templates : `~torch.Tensor`, shape (n, 3, side, side)
            As from `forward`, or real ones.
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            As for `forward`.

        Returns
        -------
        mean, log_variance : `~torch.Tensor` of float32, shape (n, n_global)
            Of a Gaussian; what the flow makes from latent numbers.
        """
        conditions = conditions.float()
        start = self.profile(conditions)
        stretched = (templates.float() / _SOFT).asinh()
        beside = (start * self.totals(conditions)[:, :, None, None] / _SOFT).asinh()
        maps = torch.cat([stretched - beside, beside[:, 1:2] / 4], 1)
        # Rows of the plane of the disc, from those of the picture.
        tilt = self._tilt(conditions)
        maps = _rows(maps, self.centres * tilt[:, None], self.centres)
        return self.encoder(maps, self.deck.standard(conditions))

    def encode(self, templates: Tensor, conditions: Tensor) -> Tensor:
        """
        The latent numbers of templates: where `forward` makes them again, nearly.

        Parameters
        ----------
        templates, conditions : `~torch.Tensor`
            As for `posterior`.

        Returns
        -------
        latent : `~torch.Tensor` of float32, shape (n, n_latent)
            As for `forward`; 0 for the fine structure of places.
        """
        mean, _ = self.posterior(templates, conditions)
        own, _ = self.flow.inverse(mean, self.deck.standard(conditions.float()))
        return nn.functional.pad(own, (0, self.n_latent - self.n_global))

    def complete(self, conditions: Tensor, uniform: Tensor) -> Tensor:
        """
        Fill in conditions that are not given.

        Parameters
        ----------
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            NaN where not given.
        uniform : `~torch.Tensor`, shape (n, n_uniform)
            Between 0 and 1: which of the galaxies that are alike in what is given.

        Returns
        -------
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            Without NaN; from their joint distribution in the training set.
        """
        return self.deck.complete(conditions, uniform)

    def support(self, conditions: Tensor) -> Tensor:
        """
        How far conditions are from the training set's.

        Parameters
        ----------
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            Without NaN.

        Returns
        -------
        quantile : `~torch.Tensor`, shape (n,)
            From 0 to 1: share of the training set that is nearer to its neighbours.
        """
        return self.deck.support(conditions)

    def column(self, conditions: Tensor, name: str) -> Tensor:
        """One of the conditions, shape (n,)."""
        return conditions[:, self.condition_names.index(name)]

    def totals(self, conditions: Tensor) -> Tensor:
        """Flux in g, r and i, that in r being 1, shape (n, 3)."""
        g, i = (self.column(conditions, name) for name in ("g_r", "r_i"))
        return torch.stack([10 ** (-0.4 * g), torch.ones_like(g), 10 ** (0.4 * i)], 1)

    def profile(self, conditions: Tensor) -> Tensor:
        """
        The Sersic profile that a template starts from.

        Parameters
        ----------
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            As for `forward`.

        Returns
        -------
        light : `~torch.Tensor`, shape (n, 1, side, side)
            Of unit flux.
        """
        logarithm = self._brightness(conditions, self.centres[:, None], self.centres[None])
        return logarithm.flatten(1).softmax(1).unflatten(1, (1, self.side, self.side))

    def _brightness(self, conditions: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Logarithm of a Sersic profile's brightness, in units of that at its radius."""
        q = self.column(conditions, "axis_ratio").clamp(0.1, 1)[:, None, None]
        n = self.column(conditions, "sersic_index").clamp(0.3, 8)[:, None, None]
        # Half the light is within half_light pixels, to 3 per cent.
        flat = 1 - q
        axis = self.half_light * (1 + flat * (0.49 + flat * (0.27 + flat * 0.2)))
        psf = torch.full_like(q, 0.4)
        if "psf_fwhm" in self.condition_names:
            psf = self.column(conditions, "psf_fwhm").clamp(0.1, 1)[:, None, None]
        # No cusp is sharper than the PSF.
        m = (x**2 + (y / q) ** 2 + (0.3 * psf * self.half_light) ** 2).sqrt() / axis
        b = 2 * n - 1 / 3 + 0.01 / n
        return -b * ((m.log() / n).exp() - 1)

    def _face_on(self, conditions: Tensor) -> list[Tensor]:
        """Profile and coordinates in the plane of the disc, at each of the decoder's sides."""
        tilt, maps = self._tilt(conditions)[:, None, None], []
        for side in SIDES:
            centres = self.centres.unfold(0, self.side // side, self.side // side).mean(1)
            profile = self._brightness(conditions, centres[:, None] * tilt, centres[None])
            along = (centres / self.side * 2).expand_as(profile)
            maps.append(torch.stack([profile / 3, along, along.mT], 1))
        return maps

    def _tilt(self, conditions: Tensor) -> Tensor:
        """By how much the plane of the disc is foreshortened along y, shape (n,)."""
        return self.column(conditions, "axis_ratio").clamp(0.3, 1)

    def _tilted(self, fields: Tensor, conditions: Tensor) -> Tensor:
        return _rows(fields, self.centres / self._tilt(conditions)[:, None], self.centres)

    def _finished(self, fields: Tensor, conditions: Tensor) -> Tensor:
        """Light from what is added to the logarithm of the profile and to the colours."""
        start = self._brightness(conditions, self.centres[:, None], self.centres[None])
        r = (start + 8 * (fields[:, 1] / 8).tanh()).flatten(1)
        r = r + self._ending(r.detach().softmax(1), conditions)
        r = r + self._widening(r.softmax(1))[:, None] * self.outward
        g, i = (r + 3 * (fields[:, k].flatten(1) / 3).tanh() for k in (0, 2))
        light = torch.stack([g, r, i], 1).softmax(2) * self.totals(conditions)[:, :, None]
        return light.unflatten(2, (self.side, self.side))

    def _ending(self, light: Tensor, conditions: Tensor) -> Tensor:
        """What the logarithm changes by for templates to end as real ones do."""
        radius = elliptic_radius(self.side, self.column(conditions, "axis_ratio"))
        reach = petrosian_radius(light.unflatten(1, (self.side, self.side)), radius)
        return petrosian_fade(radius, reach).clamp_min(_NOTHING).log().flatten(1)

    def _widening(self, light: Tensor) -> Tensor:
        """
        By what times ``outward`` the logarithm has to change for half the light to be inside.

        Shape (n,); light is expanded in powers of it, so that its sums are taken once.
        """
        everywhere, inside = (light @ self.powers).chunk(2, 1)
        order = torch.arange(_TERMS, device=light.device)
        by = light.new_zeros(len(light), 1)
        for _ in range(5):
            power = by**order
            slope = torch.cat([torch.zeros_like(by), order[1:] * power[:, :-1]], 1)
            whole, half = ((sums * power).sum(1) for sums in (everywhere, inside))
            whole_slope, half_slope = ((sums * slope).sum(1) for sums in (everywhere, inside))
            off = half / whole - 0.5
            # More light outside always leaves less of it inside.
            by_one = (half_slope - half / whole * whole_slope) / whole
            by = by - (off / by_one.clamp_max(-1e-3)).clamp(-0.7, 0.7)[:, None]
        return by[:, 0]


def _rows(maps: Tensor, at: Tensor, rows: Tensor) -> Tensor:
    """
    Maps (n, c, ny, nx) at other rows: linear between rows, the last one beyond the edge.

    ``at`` has the shape (n, m), ``rows`` is where the maps' rows are, one apart.
    """
    at = at.clamp(rows[0], rows[-1])
    weights = (1 - (at[:, :, None] - rows).abs()).clamp_min(0)
    return weights[:, None] @ maps
