"""A picture of stamps."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..cutouts import Cutouts
from ..specs import LuptonStretch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_cutouts"]

_PAPER = "#15171a"
_STAMP, _GAP = 1.15, 0.06  # inches
# Part of the pixels that are brighter than white; below this part of white the stretch is linear.
_BRIGHTEST, _LINEAR = 0.001, 0.05


def plot_cutouts(
    cutouts: Cutouts, *, n_columns: int = 8, figure: "Figure | None" = None
) -> "Figure":
    """
    Draw stamps beside each other, each in a scale of its own.

    Parameters
    ----------
    cutouts : `~astrodlkit.Cutouts`, length n
        Three bands, from blue to red, are drawn in colour; of others the first
        is drawn in grey.
    n_columns : int
        Stamps beside each other.
    figure : `~matplotlib.figure.Figure`, optional
        To draw into; it is given the size that it needs.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Stamps in rows, the first at the upper left; asinh stretch.

    Raises
    ------
    ValueError
        If there is no stamp, or ``n_columns`` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit import Cutouts
    >>> from astrodlkit.galaxies import plot_cutouts
    >>> y, x = np.mgrid[-1:1:32j, -1:1:32j]
    >>> light = np.exp(-8 * np.hypot(x, y)) * np.ones((2, 3, 1, 1))
    >>> figure = plot_cutouts(Cutouts(light, bands=("g", "r", "i")))
    >>> len(figure.axes)
    2
    """
    if not isinstance(cutouts, Cutouts):
        raise TypeError(f"cutouts must be Cutouts, got {type(cutouts).__name__}")
    if n_columns < 1:
        raise ValueError(f"n_columns must be positive, got {n_columns}")
    if not len(cutouts):
        raise ValueError("cutouts must have a stamp, there is none")
    if figure is None:
        from matplotlib.figure import Figure

        figure = Figure()
    ny, nx = cutouts.shape[-2:]
    columns = min(n_columns, len(cutouts))
    rows = -(-len(cutouts) // columns)
    tall = _STAMP * ny / nx
    width, height = columns * (_STAMP + _GAP) + _GAP, rows * (tall + _GAP) + _GAP
    figure.set_size_inches(width, height)
    figure.set_facecolor(_PAPER)
    for i, picture in enumerate(_pictures(cutouts)):
        left = _GAP + (i % columns) * (_STAMP + _GAP)
        bottom = height - (i // columns + 1) * (tall + _GAP)
        axes = figure.add_axes((left / width, bottom / height, _STAMP / width, tall / height))
        axes.imshow(picture, origin="lower", interpolation="nearest", aspect="auto")
        axes.set_axis_off()
    return figure


def _pictures(cutouts: Cutouts) -> NDArray[np.float32]:
    """Red, green and blue between 0 and 1, shape (n, ny, nx, 3)."""
    colours = (2, 1, 0) if len(cutouts.bands) == 3 else (0, 0, 0)
    light = np.where(cutouts.mask, 0, cutouts.data)[:, colours].astype(np.float64)
    white = np.quantile(light.mean(axis=1).reshape(len(light), -1), 1 - _BRIGHTEST, axis=1)
    light /= np.where(white > 0, white, 1)[:, None, None, None]
    # Lupton's stretch is asinh(Q x / stretch) / (10 asinh(Q / 10)): 1 at white, x = 1.
    softening = 10 * np.sinh(np.arcsinh(1 / _LINEAR) / 10)
    stretch = LuptonStretch(stretch=softening * _LINEAR, Q=softening)
    return stretch.apply(light).transpose(0, 2, 3, 1)
