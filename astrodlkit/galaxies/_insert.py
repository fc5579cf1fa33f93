"""The verb: stamps go into an image, and a table says where they are."""

from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.nddata import NDData
from astropy.table import Column, QTable, vstack
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from .._flags import ABOUT_FLAGS
from .._rng import read_seed
from .._typing import Progress
from ..cutouts import Cutouts
from ..cutouts._arrays import POWERS, celestial
from ..cutouts._grids import pixel_to_lonlat
from ..engine import progress_bar
from ._noise import read_gain
from ._paste import StampsOnImage
from ._place import to_pixel
from ._sheet import Sheet
from ._stars import add_stars

__all__ = ["insert_cutouts"]


def insert_cutouts(
    image: NDData,
    cutouts: Cutouts,
    *,
    band: str | None = None,
    gain: u.Quantity | None = None,
    n_stars: int = 0,
    star_flux: u.Quantity | None = None,
    psf: Any = None,
    rng: int | np.random.Generator | None = None,
    progress: Progress = None,
) -> tuple[NDData, QTable]:
    """
    Add stamps to an image at their places on the sky.

    Stamps that were drawn with ``wcs=image.wcs`` are added as they are. Others are
    resampled to the pixels of the image (splines of order 5, times the ratio of
    the pixels' areas; where the image's pixels are larger, means over them).

    Parameters
    ----------
    image : `~astropy.nddata.NDData` or `~astropy.nddata.CCDData`
        One band, with a celestial WCS, such as ``CCDData.read`` gives; it stays as
        it is.
    cutouts : `~astrodlkit.Cutouts`, length n
        Stamps with a WCS, as `simulate_galaxies` makes them from a table with
        positions; without noise, or resampling would correlate it.
    band : str, optional
        Which band of the cutouts; needed if they have more than one.
    gain : `~astropy.units.Quantity`, optional
        Electrons for each unit of the image, such as ``5 * u.electron / u.nJy``:
        what is added gets the noise of its counts. Without it no noise is added.
    n_stars : int
        Stars to be added too, evenly over the image.
    star_flux : `~astropy.units.Quantity`, optional
        Lowest and highest flux of stars, which are drawn evenly in magnitude; or
        one flux for each (two of two stars are theirs).
    psf : object, optional
        Of the stars, as for `simulate_galaxies`.
    rng : int or `~numpy.random.Generator`, optional
        The seed of stars and noise, or where it is drawn from.
    progress : bool or callable, optional
        `True` shows a bar, `False` none, `None` one if standard error is a
        terminal; a callable is called with ``(done, total)``.

    Returns
    -------
    image : of the type of ``image``
        A new one, with everything that the old one has. Its uncertainty has the
        variance of the cutouts and that of the counts in it; an image without
        one gets a `~astropy.nddata.VarianceUncertainty` of these alone, which is
        0 where nothing was added, as if the image had no noise of its own. Its
        mask has the pixels that are masked in a stamp.
    truth : `~astropy.table.QTable`, length n + n_stars
        The cutouts in their order, then stars: ``kind`` (``"galaxy"`` or
        ``"star"``), ``position``, ``x`` and ``y`` (0-based pixels of the image),
        ``flux`` of the stamp and ``flux_on_image`` of it, in the unit of the
        image, and ``flags``, those of the cutouts and ``no_overlap``,
        ``partial_overlap`` and ``resampled``. Rows without a stamp or a place
        have ``no_result`` and leave nothing on the image. ``meta["seed"]`` as
        ``rng`` gives the same stars and noise again.

    Raises
    ------
    TypeError
        If ``image`` is no NDData, ``cutouts`` no Cutouts, or a number has no unit.
    ValueError
        If one of them has no WCS, the image is not of two dimensions, or an
        argument is missing.
    `~astropy.units.UnitConversionError`
        If the unit of the cutouts is not one of the image.

    See Also
    --------
    simulate_galaxies : Makes stamps.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from astropy.wcs import WCS
    >>> from astrodlkit import extract_cutouts, insert_cutouts
    >>> wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10, "CRVAL2": -30,
    ...            "CRPIX1": 32, "CRPIX2": 32, "CDELT1": -5e-5, "CDELT2": 5e-5})
    >>> image = CCDData(np.zeros((64, 64)), unit="nJy", wcs=wcs)
    >>> spot = np.zeros((1, 1, 5, 5))
    >>> spot[0, 0, 2, 2] = 1
    >>> cutouts = extract_cutouts(image, {"x": [40], "y": [20]}, 5)
    >>> cutouts.data[...] = spot
    >>> found, truth = insert_cutouts(image, cutouts)
    >>> print(np.argwhere(found.data)[0], truth["x"][0].round(3))
    [20 40] 40.0
    """
    wcs = _read_image(image)
    number = _read_band(cutouts, band)
    if gain is not None and cutouts.variance is not None:
        raise ValueError("gain: the cutouts have noise already; simulate them without")
    if isinstance(n_stars, bool) or not isinstance(n_stars, int | np.integer) or n_stars < 0:
        raise ValueError(f"n_stars must be a whole number, 0 or more, got {n_stars!r}")
    unit = image.unit or u.dimensionless_unscaled
    electrons = None if gain is None else read_gain(gain, unit)
    seed = read_seed(rng)
    generator = np.random.default_rng(seed)
    sheet = Sheet.like(image, with_variance=cutouts.variance is not None)
    places = StampsOnImage.find(cutouts, number, wcs)
    factor = _factor(cutouts.unit, image.unit)
    done = []
    with progress_bar(len(cutouts), progress, description="insert", unit="stamp") as advance:
        for row in range(len(cutouts)):
            done.append(sheet.paste(places, row, cutouts, number, factor))
            advance(1)
    flux, on_image, flags = np.reshape(done, (len(cutouts), 3)).T
    x, y = places.at.T if cutouts.positions is None else to_pixel(wcs, cutouts.positions)
    found = {"x": x, "y": y, "flux": flux, "flux_on_image": on_image, "flags": flags}
    parts = [_truth("galaxy", found, wcs, image.unit)]
    if n_stars:
        stars = add_stars(
            sheet.light,
            n_stars,
            band=cutouts.bands[number],
            flux=star_flux,
            psf=psf,
            wcs=wcs,
            unit=unit,
            rng=generator,
        )
        parts.append(_truth("star", stars, wcs, image.unit))
    if electrons is not None:
        sheet.count(electrons, generator)
    truth = vstack(parts)
    truth.meta["seed"] = seed
    return sheet.added_to(image), truth


def _read_image(image: Any) -> WCS:
    """Check the argument ``image`` and give its WCS."""
    if not isinstance(image, NDData):
        raise TypeError(
            f"image must be NDData or CCDData, got {type(image).__name__}; "
            "CCDData(array, unit=..., wcs=...) makes one"
        )
    if np.ndim(image.data) != 2:
        raise ValueError(f"image must be one band, (ny, nx), got the shape {image.data.shape}")
    if image.data.dtype.kind not in "fiu":
        raise TypeError(f"image must hold real numbers, not {image.data.dtype}")
    wcs = celestial(image.wcs, "image")
    if wcs is None:
        raise ValueError("image has no WCS: CCDData(array, unit=..., wcs=...)")
    if image.uncertainty is not None and type(image.uncertainty) not in POWERS:
        raise TypeError(
            f"image: the uncertainty is a {type(image.uncertainty).__name__}; StdDevUncertainty, "
            "VarianceUncertainty and InverseVariance can be carried. Convert it, or set it to None"
        )
    return wcs


def _read_band(cutouts: Any, band: str | None) -> int:
    if not isinstance(cutouts, Cutouts):
        raise TypeError(f"cutouts must be Cutouts, got {type(cutouts).__name__}")
    if band is None and len(cutouts.bands) == 1:
        return 0
    if band not in cutouts.bands:
        raise ValueError(f"band must be one of {', '.join(cutouts.bands)}, got {band!r}")
    return cutouts.bands.index(band)


def _factor(ours: u.UnitBase | None, theirs: u.UnitBase | None) -> float:
    """From the unit of the cutouts to that of the image."""
    try:
        start, end = (each or u.dimensionless_unscaled for each in (ours, theirs))
        return float(start.to(end))
    except u.UnitConversionError as exc:
        raise u.UnitConversionError(
            f"cutouts in {ours or 'no unit'} cannot be added to an image in "
            f"{theirs or 'no unit'}: simulate them with unit= (and zero_point=)"
        ) from exc


def _truth(kind: str, found: dict[str, NDArray], wcs: WCS, unit: u.UnitBase | None) -> QTable:
    """Rows of the truth table."""
    lon, lat = pixel_to_lonlat(wcs, found["x"], found["y"])
    frame: Any = wcs_to_celestial_frame(wcs)
    truth = QTable({"kind": np.full(len(lon), kind)})
    truth["position"] = SkyCoord(lon, lat, unit=u.deg, frame=frame)
    truth["x"], truth["y"] = found["x"], found["y"]
    for name in ("flux", "flux_on_image"):
        truth[name] = found[name] * (unit or u.dimensionless_unscaled)
    flags = found["flags"].astype(np.int32)
    truth["flags"] = Column(flags, description=ABOUT_FLAGS)
    return truth
