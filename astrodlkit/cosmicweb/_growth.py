"""Linear growth of structure, which astropy's cosmologies do not have."""

from astropy.cosmology import FLRW
from scipy.integrate import solve_ivp

__all__ = ["linear_growth"]

# The scale factor to begin at, of the first one asked for: what does not grow is gone by then.
_START = 1e-3


def linear_growth(cosmology: FLRW, redshift: float) -> float:
    """
    Linear growth of matter perturbations since a redshift.

    Solves the growth equation for matter alone in the given expansion,
    radiation and any smooth dark energy included (Linder & Jenkins 2003,
    MNRAS, 346, 573, equation 2), in the form
    (a^3 E D')' = 3/2 Om0 D / (a^2 E), the prime being d/da.

    Parameters
    ----------
    cosmology : `~astropy.cosmology.FLRW`
        With matter.
    redshift : float
        0 or more.

    Returns
    -------
    growth : float
        D(redshift) / D(0).
    """

    def change(a: float, state: tuple[float, float]) -> tuple[float, float]:
        growth, momentum = state
        rate = float(cosmology.efunc(1 / a - 1))
        return momentum / (a**3 * rate), 1.5 * cosmology.Om0 * growth / (a**2 * rate)

    then = 1 / (1 + redshift)
    first = _START * then
    momentum = first**3 * float(cosmology.efunc(1 / first - 1))
    found = solve_ivp(
        change, (first, 1.0), (first, momentum), "DOP853", dense_output=True, rtol=1e-8, atol=0
    )
    growth, today = found.sol([then, 1.0])[0]
    return float(growth / today)
