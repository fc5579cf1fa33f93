"""What the templates of a galaxy simulator are, and the galaxies that it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ._map import _number, _range
from ._record import Record

__all__ = ["TemplateSpec"]


@dataclass(frozen=True, kw_only=True)
class TemplateSpec(Record):
    """
    The templates of a galaxy simulator, and the galaxies that it was trained on.

    Parameters
    ----------
    side : int
        Pixels of a template, on each side.
    half_light : float
        Radius of the circle around the middle that has half of the light in
        the reference band, in pixels.
    bands : tuple of str
        Of the planes of a template.
    reference : str
        The band in which the sum of a template is 1; one of ``bands``.
    psf_fwhm : float
        Full width at half maximum of the templates' own PSF, in half-light
        radii; the median.
    psf_fwhm_95 : float
        The same, which 95 % do not exceed.
    domain : mapping
        Lowest and highest value of each condition in the training set, in the
        order in which the network takes them; ``"axis_ratio"`` is one.
    support_limit : float, optional
        From which quantile of the training set's own distances a set of
        conditions counts as outside of it.

    Raises
    ------
    TypeError, ValueError
        If a number is missing or means nothing.

    Examples
    --------
    >>> from astrodlkit.specs import TemplateSpec
    >>> spec = TemplateSpec(side=80, half_light=9.0, bands=("g", "r", "i"), reference="r",
    ...                     psf_fwhm=0.4, psf_fwhm_95=0.8,
    ...                     domain={"axis_ratio": (0.15, 1), "g_r": (0, 1.2), "r_i": (-0.1, 0.6)})
    >>> spec.conditions
    ('axis_ratio', 'g_r', 'r_i')
    >>> TemplateSpec.from_dict(spec.to_dict()) == spec
    True
    """

    side: int
    half_light: float
    bands: tuple[str, ...]
    reference: str
    psf_fwhm: float
    psf_fwhm_95: float
    domain: Mapping[str, tuple[float, float]] = field(hash=False)
    support_limit: float = 0.995

    def __post_init__(self) -> None:
        if isinstance(self.side, bool) or not isinstance(self.side, int) or self.side < 8:
            raise ValueError(f"side must be a number of pixels, 8 or more, got {self.side!r}")
        for name in ("half_light", "psf_fwhm", "psf_fwhm_95", "support_limit"):
            value = _number(name, getattr(self, name))
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value!r}")
            object.__setattr__(self, name, value)
        if self.half_light > self.side / 2:
            raise ValueError(f"half_light must be within the template, got {self.half_light}")
        bands = tuple(self.bands)
        if not bands or len(set(bands)) < len(bands) or not all(map(str, bands)):
            raise ValueError(f"bands must be different names, got {self.bands!r}")
        object.__setattr__(self, "bands", bands)
        if self.reference not in bands:
            raise ValueError(f"reference must be one of {bands}, got {self.reference!r}")
        if not isinstance(self.domain, Mapping) or "axis_ratio" not in self.domain:
            raise ValueError(f"domain must be a mapping with 'axis_ratio', got {self.domain!r}")
        domain = {name: _range(name, values) for name, values in self.domain.items()}
        object.__setattr__(self, "domain", domain)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, in the order in which the network takes them."""
        return tuple(self.domain)
