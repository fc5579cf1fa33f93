"""Sources of an image, for those who bring no catalogue."""

import warnings

import numpy as np
from astropy.nddata import NDData
from astropy.table import QTable
from astropy.utils.exceptions import AstropyDeprecationWarning

__all__ = ["detect"]


def detect(image: NDData, *, threshold: float = 1.5, n_pixels: int = 10) -> QTable:
    """
    Detect, deblend and measure the sources of an image with photutils.

    The background and its scatter are estimated in boxes of about 128
    pixels; sources are connected pixels above the threshold in the image
    smoothed with a Gaussian of 3 pixels (full width at half maximum).

    Parameters
    ----------
    image : `~astropy.nddata.NDData`, 2D
        The image; pixels that are masked or not finite are not used. With a
        WCS the table has a column ``sky_centroid``.
    threshold : float
        In units of the background's standard deviation.
    n_pixels : int
        The least number of connected pixels of a source.

    Returns
    -------
    sources : `~astropy.table.QTable`
        The default columns of `photutils.segmentation.SourceCatalog` under
        the names of the installed photutils, and ``kron_radius`` and
        ``equivalent_radius``. Without sources the table has no rows and no
        columns.

    Raises
    ------
    ValueError
        If no pixel can be used.
    """
    from astropy.convolution import convolve
    from photutils.background import Background2D
    from photutils.segmentation import (
        SourceCatalog,
        deblend_sources,
        detect_sources,
        make_2dgaussian_kernel,
    )
    from photutils.utils.exceptions import NoDetectionsWarning

    data = np.array(image.data, dtype=np.float64)
    bad = ~np.isfinite(data)
    if image.mask is not None:
        bad |= np.asarray(image.mask, dtype=bool)
    if bad.all():
        raise ValueError("sources cannot be detected: no pixel of the image can be used")
    data[bad] = 0.0

    box = tuple(min(128, side) for side in data.shape)
    background = Background2D(data, box, mask=bad, exclude_percentile=90.0)
    data -= background.background
    data[bad] = 0.0
    smooth = convolve(data, make_2dgaussian_kernel(3.0, size=5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        # Deprecated in photutils 3.1; before, a bar is the default.
        warnings.filterwarnings("ignore", ".*progress_bar.*", AstropyDeprecationWarning)
        segments = detect_sources(smooth, threshold * background.background_rms, n_pixels, mask=bad)
        if segments is None:
            return QTable()
        segments = deblend_sources(smooth, segments, n_pixels, progress_bar=False)
    catalog = SourceCatalog(data, segments, convolved_data=smooth, mask=bad, wcs=image.wcs)
    columns = [*catalog.default_columns, "kron_radius", "equivalent_radius"]
    if image.wcs is None:
        columns.remove("sky_centroid")
    return QTable(catalog.to_table(columns=columns))
