"""What the maps of an emulator are: their grid, and the cosmologies it knows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real

from ._record import Record

__all__ = ["MapSpec"]

DOMAIN = ("Om0", "sigma8", "redshift")
FIXED = ("H0", "Ob0", "Tcmb0", "Neff", "m_nu", "n_s")


@dataclass(frozen=True, kw_only=True)
class MapSpec(Record):
    """
    The maps of an emulator, and the cosmologies that it was trained on.

    Parameters
    ----------
    pixel : float
        Side of a pixel, comoving Mpc.
    box_size : float
        Side of the maps that it was made for, comoving Mpc.
    thickness : float
        Of the slab that is projected, comoving Mpc.
    domain : mapping
        Lowest and highest value of ``Om0``, of ``sigma8`` today and of
        ``redshift`` in the training set.
    fixed : mapping, optional
        What all its cosmologies had in common, of ``H0`` (km/s/Mpc), ``Ob0``,
        ``Tcmb0`` (K), ``Neff``, ``m_nu`` (eV, all neutrinos together) and
        ``n_s``.

    Raises
    ------
    TypeError, ValueError
        If a number is missing, unknown or means nothing.

    Examples
    --------
    >>> from astrodlkit.specs import MapSpec
    >>> spec = MapSpec(pixel=2.0, box_size=512.0, thickness=8.0, fixed={"H0": 67.7},
    ...                domain={"Om0": (0.1, 0.5), "sigma8": (0.6, 1.0), "redshift": (0, 2)})
    >>> spec.domain["redshift"]
    (0.0, 2.0)
    >>> MapSpec.from_dict(spec.to_dict()) == spec
    True
    """

    pixel: float
    box_size: float
    thickness: float
    domain: Mapping[str, tuple[float, float]] = field(hash=False)
    fixed: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("pixel", "box_size", "thickness"):
            value = _number(name, getattr(self, name))
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value!r}")
            object.__setattr__(self, name, value)
        for name, known in (("domain", DOMAIN), ("fixed", FIXED)):
            values = getattr(self, name)
            if not isinstance(values, Mapping) or not set(values) <= set(known):
                raise ValueError(f"{name} must be a mapping of {', '.join(known)}, got {values!r}")
        if set(self.domain) != set(DOMAIN):
            raise ValueError(f"domain must have {', '.join(DOMAIN)}, got {self.domain!r}")
        domain = {name: _range(name, self.domain[name]) for name in DOMAIN}
        fixed = {name: _number(name, self.fixed[name]) for name in FIXED if name in self.fixed}
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "fixed", fixed)


def _number(name: str, value: object) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def _range(name: str, values: object) -> tuple[float, float]:
    if not isinstance(values, list | tuple) or len(values) != 2:
        raise TypeError(f"{name} must be a lowest and a highest value, got {values!r}")
    low, high = (_number(name, value) for value in values)
    if not low < high:
        raise ValueError(f"{name} must be a lowest and a highest value, got {values!r}")
    return low, high
