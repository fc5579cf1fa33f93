"""Linear growth of structure of many cosmologies at once."""

from torch import Tensor

__all__ = ["growth"]


def growth(matter: Tensor, redshift: Tensor) -> Tensor:
    """
    Linear growth of matter perturbations since a redshift, in flat LCDM.

    A formula that is good to 2 % (Carroll, Press & Turner 1992, ARA&A, 30, 499, equation 29);
    ``astrodlkit.cosmicweb`` solves the equation, for one cosmology.

    Parameters
    ----------
    matter : `~torch.Tensor`, shape (n,)
        Density today, in units of the critical one.
    redshift : `~torch.Tensor`, shape (n,)
        0 or more.

    Returns
    -------
    growth : `~torch.Tensor`, shape (n,)
        D(redshift) / D(0).
    """

    def over_scale(part: Tensor) -> Tensor:
        rest = 1 - part
        return 2.5 * part / (part ** (4 / 7) - rest + (1 + part / 2) * (1 + rest / 70))

    then = matter * (1 + redshift) ** 3
    return over_scale(then / (then + 1 - matter)) / over_scale(matter) / (1 + redshift)
