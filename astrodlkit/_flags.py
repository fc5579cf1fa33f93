"""Row flags: why a row of a result is suspect."""

from enum import IntFlag
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["ABOUT_FLAGS", "Flag", "decode_flags"]

ABOUT_FLAGS = "why a row is suspect: see decode_flags"
"""Description of every column of flags, by which it is known again."""


class Flag(IntFlag):
    """Bits of the ``flags`` column that every result carries."""

    description: str

    def __new__(cls, value: int, description: str = "") -> Self:
        member = int.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    NO_OVERLAP = 1, "the stamp lies wholly off the image"
    PARTIAL_OVERLAP = 2, "part of the stamp lies off the image"
    MASKED_PIXELS = 4, "some pixels of the stamp are masked"
    ALL_MASKED = 8, "no pixel of the stamp can be used"
    NON_FINITE = 16, "some pixels of the stamp are NaN or infinite"
    RESAMPLED = 32, "the stamp was resampled to another pixel grid"
    INVALID_POSITION = 64, "the position is masked, not finite or outside the projection"
    INVALID_SIZE = (
        128,
        "the size of the source is masked, not finite, not positive or far too large",
    )
    BLANK = 256, "all usable pixels of the stamp have the same value"
    NO_RESULT = 512, "no result could be computed: the row's values are NaN"
    UNREADABLE = 1024, "an image of the source could not be read"
    INVALID_VALUE = 2048, "a value that is needed is masked, not finite or out of range"
    LOW_RESOLUTION = 4096, "a simulated galaxy is blurred more than the PSF and pixels asked for"
    OUTSIDE_DOMAIN = 8192, "what was asked for is outside the training set of the model"


def decode_flags(flags: ArrayLike) -> list[list[str]] | list[str]:
    """
    Names of the bits that are set.

    Parameters
    ----------
    flags : int or array_like of int, shape (n,)
        One value or a ``flags`` column.

    Returns
    -------
    names : list of str, or list of list of str
        Lower-case flag names, in the order of their bits; for a column, one
        list per row, which is empty where ``flags`` is masked.

    Raises
    ------
    TypeError
        If ``flags`` does not hold integers.
    ValueError
        If a value has a bit that means nothing.

    Notes
    -----
    The flags are:

    {flags}

    Examples
    --------
    >>> from astrodlkit import decode_flags
    >>> decode_flags(6)
    ['partial_overlap', 'masked_pixels']
    >>> decode_flags([0, 1])
    [[], ['no_overlap']]
    """
    # Under the mask of joined tables are the flags of other rows.
    values = np.ma.filled(flags, 0) if np.ma.isMaskedArray(flags) else np.asarray(flags)
    if values.size and values.dtype.kind not in "iu":
        raise TypeError(f"flags must be integers, got {values.dtype}")
    if values.ndim > 1:
        raise ValueError(f"flags must be one number or one column, got shape {values.shape}")
    known = sum(Flag)
    for value in np.atleast_1d(values).tolist():
        if value & ~known:
            raise ValueError(f"flags has a bit without a meaning: {value}")
    if values.ndim == 0:
        return _names(int(values))
    return [_names(value) for value in values.tolist()]


def _names(value: int) -> list[str]:
    return [str(flag.name).lower() for flag in Flag if value & flag]


decode_flags.__doc__ = str(decode_flags.__doc__).format(
    flags="\n    ".join(
        f"* ``{str(flag.name).lower()}`` ({flag.value}): {flag.description};" for flag in Flag
    )
)
