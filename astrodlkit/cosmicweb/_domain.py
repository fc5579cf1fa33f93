"""Which cosmologies a model knows, and how far another one is from them."""

from collections.abc import Callable, Mapping
from typing import Any

import astropy.cosmology.units as cu
import numpy as np
from astropy import units as u
from astropy.cosmology import FLRW

from ..specs import MapSpec

__all__ = ["TOLERANCES", "domain_flags", "read_cosmology", "read_number"]

TOLERANCES: Mapping[str, tuple[float, float]] = {
    "H0": (0.01, 0),
    "Ob0": (0.1, 0),
    "Tcmb0": (0.01, 0),
    "Neff": (0.2, 0),
    "m_nu": (0, 0.1),
    "n_s": (0.01, 0),
}
"""
By what part, and by how much, parameters may differ from those of the training cosmologies.

At the same sigma8 this changes the linear power spectrum by 3 % at most for 0.06 < k < 2 / Mpc.
"""


def _read_tilt(cosmology: FLRW) -> float | None:
    """The spectral index, if the cosmology says it."""
    n = (cosmology.meta or {}).get("n")
    return None if n is None else read_number(n, "n in the meta of the cosmology")


_READERS: dict[str, Callable[[FLRW], Any]] = {
    "H0": lambda cosmology: cosmology.H0.to_value("km / (s Mpc)"),
    "Ob0": lambda cosmology: cosmology.Ob0,
    "Tcmb0": lambda cosmology: cosmology.Tcmb0.to_value("K"),
    "Neff": lambda cosmology: cosmology.Neff if cosmology.Tcmb0.value else None,
    "m_nu": lambda cosmology: (
        cosmology.m_nu.to_value("eV").sum() if cosmology.has_massive_nu else 0.0
    ),
    "n_s": _read_tilt,
}
# For these, 0 is what astropy takes where nothing is said.
_UNSAID = ("Ob0", "Tcmb0")


def read_cosmology(cosmology: Any, sigma8: Any) -> tuple[FLRW, float]:
    """
    Read the arguments ``cosmology`` and ``sigma8``.

    Parameters
    ----------
    cosmology, sigma8 : object
        The arguments.

    Returns
    -------
    cosmology : `~astropy.cosmology.FLRW`
        Flat, with matter.
    sigma8 : float
        Today.
    """
    if not isinstance(cosmology, FLRW):
        raise TypeError(
            f"cosmology must be one of astropy.cosmology, such as Planck18, got {cosmology!r}"
        )
    if not 0 < cosmology.H0.value < np.inf:
        raise ValueError(f"cosmology must expand: H0 must be positive, got H0={cosmology.H0}")
    if not 0 < cosmology.Om0 < np.inf:
        raise ValueError(f"cosmology must have matter, got Om0={cosmology.Om0!r}")
    # Radiation that is not counted in Ode0 makes some flat ones 1e-4 off.
    if not abs(cosmology.Ok0) < 1e-3:
        raise ValueError(
            f"cosmology must be flat: no model knows curvature; got Ok0={cosmology.Ok0:.4g}"
        )
    _read_tilt(cosmology)
    if sigma8 is None:
        sigma8 = (cosmology.meta or {}).get("sigma8")
        if sigma8 is None:
            raise ValueError(
                f"the cosmology {cosmology.name or type(cosmology).__name__} does not say sigma8 "
                'in its meta: give sigma8=0.8, or make it with meta={"sigma8": 0.8}'
            )
    return cosmology, read_number(sigma8, "sigma8", positive=True)


def read_number(value: Any, name: str, *, positive: bool = False) -> float:
    """
    Read a number that is not negative.

    Parameters
    ----------
    value : object
        The argument; a `~astropy.units.Quantity` must be dimensionless.
    name : str
        Its name; of ``"redshift"`` the unit may be astropy's for redshifts.
    positive : bool
        Whether 0 is wrong too.

    Returns
    -------
    value : float
        The number.
    """
    wanted = "a positive number" if positive else "a number, 0 or more"
    if isinstance(value, u.Quantity) and _is_plain(value.unit, redshift=name == "redshift"):
        value = value.to_value(u.dimensionless_unscaled)
    if isinstance(value, bool | str) or np.ndim(value) or hasattr(value, "unit"):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {wanted}, got {value!r}") from None
    if not 0 <= number < np.inf or (positive and number == 0):
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return number


def _is_plain(unit: Any, *, redshift: bool) -> bool:
    """Whether a unit is none; astropy takes its unit of redshift for one."""
    # Magnitudes are equivalent to none, too.
    if not (isinstance(unit, u.UnitBase) and unit.is_equivalent(u.dimensionless_unscaled)):
        return False
    return redshift or cu.redshift not in unit.decompose().bases


def domain_flags(spec: MapSpec, cosmology: FLRW, sigma8: float, redshift: float) -> dict[str, str]:
    """
    What of a cosmology the training set did not have.

    Parameters
    ----------
    spec : MapSpec
        Of the model.
    cosmology : `~astropy.cosmology.FLRW`
        The cosmology.
    sigma8, redshift : float
        Today's sigma8, and the redshift.

    Returns
    -------
    flags : dict
        For each parameter that is outside, by its name, the text that says
        so; none where all is well.
    """
    flags = {}
    asked = {"Om0": float(cosmology.Om0), "sigma8": sigma8, "redshift": redshift}
    for name, (low, high) in spec.domain.items():
        if not low <= asked[name] <= high:
            flags[name] = (
                f"{name} is {asked[name]:g}, the model was trained from {low:g} to {high:g}"
            )
    for name, known in spec.fixed.items():
        value = _READERS[name](cosmology)
        if value is None or (name in _UNSAID and value == 0):
            continue
        part, difference = TOLERANCES[name]
        if abs(value - known) > part * abs(known) + difference:
            flags[name] = f"{name} is {value:.4g}, the model was trained with {known:.4g}"
    # Far beyond any redshift at which dark energy matters.
    w = np.array([cosmology.w(z) for z in (0.0, 0.5, 1.0, 3.0, 10.0)])
    if cosmology.Ode0 and np.abs(w + 1).max() > 1e-6:
        flags["dark_energy"] = (
            f"dark energy has w from {w.min():.3g} to {w.max():.3g}, "
            "the model was trained with a cosmological constant"
        )
    return flags
