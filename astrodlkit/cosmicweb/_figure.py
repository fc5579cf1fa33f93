"""Pictures of maps."""

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.nddata import NDData

from ..metrics._maps import read_maps, read_pixel_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_density_maps"]

_INK = "#1d2430"
_FAINT = "#7a8494"
_PANEL, _GAP, _BAR, _HEADING = 2.4, 0.08, 0.12, 0.5  # inches


def plot_density_maps(
    maps: NDData, *, n_columns: int = 4, figure: "Figure | None" = None
) -> "Figure":
    """
    Draw maps beside each other, all in one scale of colours.

    Parameters
    ----------
    maps : `~astropy.nddata.NDData`, shape (n, ny, nx) or (ny, nx)
        What `emulate_density_maps` gave, or a slice of it.
    n_columns : int
        Maps beside each other.
    figure : `~matplotlib.figure.Figure`, optional
        To draw into; it is given the size that it needs.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The logarithm of the density, and a bar as long as the maps' scale says.

    Raises
    ------
    TypeError
        If ``maps`` has no WCS, or ``n_columns`` is no whole number.
    ValueError
        If there is no map, or ``n_columns`` is not positive.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astrodlkit import emulate_density_maps, list_models
    >>> from astrodlkit.cosmicweb import plot_density_maps
    >>> if list_models("cosmicweb-100mpc"):
    ...     maps = emulate_density_maps(4, box_size=50 * u.Mpc, shape=(128, 128), rng=1)
    ...     figure = plot_density_maps(maps)
    """
    if isinstance(n_columns, bool) or not isinstance(n_columns, int | np.integer):
        raise TypeError(f"n_columns must be a whole number, got {n_columns!r}")
    if n_columns < 1:
        raise ValueError(f"n_columns must be positive, got {n_columns}")
    if getattr(maps, "wcs", None) is None:
        raise TypeError(
            "maps must be an NDData with a WCS, such as emulate_density_maps gives, "
            f"got one without: {type(maps).__name__}"
        )
    values = read_maps(maps).values
    if values.ndim == 2:
        values = values[np.newaxis]
    if values.ndim != 3 or not len(values):
        raise ValueError(f"maps must have the shape (n, ny, nx) with n > 0, got {values.shape}")
    if figure is None:
        from matplotlib.figure import Figure

        figure = Figure()
    logs = np.log10(np.maximum(values, np.finfo(np.float32).tiny))
    low, high = np.percentile(logs, (0.5, 99.9))
    ny, nx = values.shape[1:]
    dy, dx = read_pixel_size(maps, (ny, nx), None, None)
    columns = min(n_columns, len(values))
    rows = -(-len(values) // columns)
    panel = _PANEL * max(1, 3 / columns) if rows == 1 else _PANEL
    tall = panel * (dy * ny) / (dx * nx)
    width = columns * (panel + _GAP) + _GAP + 0.9
    height = rows * (tall + _GAP) + _GAP + _HEADING
    figure.set_size_inches(width, height)
    figure.set_facecolor("white")
    figure.text(
        _GAP / width,
        1 - _HEADING / 2 / height,
        _title(maps, len(values)),
        color=_INK,
        size=9,
        va="center",
    )
    for i, log in enumerate(logs):
        left = _GAP + (i % columns) * (panel + _GAP)
        bottom = height - _HEADING - (i // columns + 1) * (tall + _GAP)
        axes = figure.add_axes((left / width, bottom / height, panel / width, tall / height))
        image = axes.imshow(log, origin="lower", cmap="inferno", vmin=low, vmax=high, aspect="auto")
        axes.set_axis_off()
    bar = figure.add_axes(
        (1 - 0.8 / width, _GAP / height, _BAR / width, 1 - (_HEADING + 2 * _GAP) / height)
    )
    unit = maps.unit or u.dimensionless_unscaled
    plain = unit.is_equivalent(u.dimensionless_unscaled)
    name = "(1 + δ)" if plain else f"surface density ({unit:unicode})"
    figure.colorbar(image, cax=bar).set_label(f"log10 {name}", color=_INK, size=8)
    bar.tick_params(labelsize=7, colors=_FAINT)
    return figure


def _title(maps: NDData, n: int) -> str:
    meta: Any = maps.meta
    if "box_size" not in meta:
        return f"{n} maps"
    sides = " x ".join(f"{side:.4g}" for side in meta["box_size"].to_value("Mpc")[::-1])
    name = getattr(meta["cosmology"], "name", None) or "cosmology"
    return (
        f"{name}, σ8 = {meta['sigma8']:.3g}, z = {meta['redshift']:g}\n"
        f"{sides} Mpc, slabs of {meta['thickness'].value:.3g} Mpc"
    )
