"""Seeds: what a user may give for ``rng``."""

from typing import Any

import numpy as np

__all__ = ["read_seed"]


def read_seed(rng: Any) -> int:
    """
    Read the argument ``rng``.

    Parameters
    ----------
    rng : int, `~numpy.random.Generator` or None
        The argument.

    Returns
    -------
    seed : int
        A whole number as it is; from a generator, or from nowhere, one is drawn.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or out of range.
    """
    if rng is None or isinstance(rng, np.random.Generator):
        # A number that JSON and FITS keep whole.
        return int(np.random.default_rng(rng).integers(2**53))
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer):
        raise TypeError(
            f"rng must be a whole number, a numpy.random.Generator or None, got {rng!r}"
        )
    if not 0 <= rng < 2**63:
        raise ValueError(f"rng must be from 0 to 2**63 - 1, got {rng!r}")
    return int(rng)
