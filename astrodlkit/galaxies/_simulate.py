"""The verb: a catalogue goes in, pictures of its galaxies come out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.cosmology import FLRW, Planck18
from astropy.wcs import WCS

from .._typing import PathLike, Progress
from ..cutouts import Cutouts
from ..pretrained import load_model
from ._noise import NoiseModel
from ._simulator import GalaxySimulator

__all__ = ["find_simulator", "simulate_galaxies"]


def simulate_galaxies(
    table: Any,
    *,
    model: PathLike | GalaxySimulator = "sdss-galaxies",
    psf: Any = None,
    pixel_scale: u.Quantity | None = None,
    shape: int | tuple[int, int] | None = None,
    noise: NoiseModel | None = None,
    bands: str | Sequence[str] | Mapping[str, str] = ("r",),
    rng: int | np.random.Generator | None = None,
    wcs: WCS | None = None,
    columns: Mapping[str, str] | None = None,
    cosmology: FLRW = Planck18,
    unit: u.UnitBase | str | None = None,
    zero_point: float | u.Quantity | None = None,
    first: int = 0,
    device: str = "auto",
    progress: Progress = None,
) -> Cutouts:
    """
    Draw the galaxies of a catalogue, with arms, bars and clumps as real ones have.

    Parameters
    ----------
    table : table-like, length n
        The catalogue: a `~astropy.table.Table`, `~astropy.table.QTable`, or
        anything that ``Table()`` takes. Its columns are under Notes.
    model : str, path or `GalaxySimulator`
        A name of `~astrodlkit.list_models`, a path, or a loaded model.
    psf : object, optional
        What the light is convolved with: a width (``0.7 * u.arcsec``, or in
        ``u.pix``; a Moffat profile of beta 3.5), a GalSim object in arcseconds
        along the axes of the pixels, an image on the pixels of the stamps (array,
        NDData or an astropy kernel), or a photutils ImagePSF. Images have the
        pixel in them already, must have no masked pixels, and are centred on
        their middle: of an even side that
        is between two pixels, so that a PSF centred on a pixel moves galaxies
        by half a pixel. A mapping has one for each band.
    pixel_scale : `~astropy.units.Quantity`, optional
        Angle of a pixel; needed without ``wcs``.
    shape : int or (int, int), optional
        Pixels (ny, nx) of a stamp; by default what holds nearly all of the
        light of most of the galaxies, from 32 to 256.
    noise : `NoiseModel`, optional
        Noise to be added; none by default.
    bands : str, sequence of str, or mapping
        Bands of the model; or names of your own and the model's for each,
        such as ``{"F606W": "r"}``.
    rng : int or `~numpy.random.Generator`, optional
        The seed, or where it is drawn from. Row i depends on the seed and i
        alone; of what is drawn by parts, give all the same seed, and ``first``.
    wcs : `~astropy.wcs.WCS`, optional
        Of an image on whose pixels the galaxies are drawn, at the table's
        positions. Without it, stamps have their galaxies in the middle, north
        up and east left.
    columns : mapping, optional
        The table's names for columns that are named otherwise in Notes:
        ``{"half_light_radius": "Re", "ra": "alpha", "dec": "delta"}``.
    cosmology : `~astropy.cosmology.FLRW`
        For sizes in kpc and absolute magnitudes.
    unit : unit-like, optional
        Of the stamps; by default that of the column of fluxes, or ``nJy`` for
        magnitudes (``adu`` with ``zero_point``).
    zero_point : float or `~astropy.units.Quantity`, optional
        AB magnitude of one count, if the unit is one of counts.
    first : int
        Number of the table's first row, where the table is a part of a longer
        one: ``simulate_galaxies(table[500:], first=500, rng=1, shape=64, ...)``
        are the galaxies from 500 on. ``shape`` is needed then, as it follows
        from all rows; so does the pixel scale of a ``wcs``, a median.
    device : str
        ``"auto"`` (a CUDA device where there is one, else the CPU), ``"cpu"``,
        ``"cuda:1"``, ...
    progress : bool or callable, optional
        `True` shows a bar, `False` none, `None` one if standard error is a
        terminal; a callable is called with ``(done, total)``.

    Returns
    -------
    cutouts : `~astrodlkit.Cutouts`, n x c x ny x nx
        Stamps, with a variance if there is noise, and a WCS and the galaxies'
        positions if the table has sky positions. Rows that cannot be drawn are
        masked. Flags are

        * ``invalid_value`` and ``invalid_size``, with ``no_result``: a value of
          the row means nothing, or the size is far too large for the pixels;
        * ``invalid_position``: there is none; with ``wcs`` the row has
          ``no_result`` then, without it is drawn and has no WCS;
        * ``no_overlap``: ``dx`` and ``dy`` put the galaxy beyond its stamp, which
          is empty;
        * ``blank``: all pixels are the same, as of a flux of 0, which is allowed;
        * ``masked_pixels``, ``all_masked`` and ``non_finite``: with ``no_result``;
        * ``low_resolution``: the template's own PSF is wider than that of the
          stamp;
        * ``outside_domain``: the training set does not have what is asked for.

        ``meta["astrodlkit"]`` has model, sha256 of its weights, version, seed and
        pixel scale in arcseconds.

    Raises
    ------
    TypeError
        If an argument is of a kind that means nothing, or a size, flux or pixel
        scale has no unit.
    ValueError
        If a column that is needed is missing, or a number means nothing.
    `~astropy.units.UnitConversionError`
        If a unit is of another kind.
    astrodlkit.exceptions.MissingDependencyError
        If GalSim is not installed.
    astrodlkit.exceptions.UnknownModelError
        If there is no such model.

    Warns
    -----
    astrodlkit.exceptions.AstrodlkitWarning
        If a PSF is not normalised (it is then), or an image of one not centred.

    See Also
    --------
    GalaxySimulator : Keeps the model; streams, completes catalogues and gives GalSim objects.
    GalaxySimulator.write : Draws into a FITS, HDF5 or Zarr file, and goes on where it was
        stopped; from the command line that is ``astrodlkit simulate``.

    Notes
    -----
    Columns of the table:

    ``flux`` or ``mag``, needed
        Total flux with its unit (of flux density, or counts), or AB magnitude,
        in the main band: that named r, or else the first of the bands, whatever of
        the model's it is. ``flux_g``, ``mag_g``, ... are of one band. Bands without
        a column, and rows where it has none, follow by colour. ``absolute_mag``, of
        the main band too, goes with ``redshift``, without K correction. Of several
        columns for a band the first in the order ``flux_r``, ``mag_r``, ``flux``,
        ``mag``, ``absolute_mag`` counts, and the next where that is masked or NaN.
    ``half_light_radius``, needed
        Of the circle that has half of the light, an angle or (with
        ``redshift``) a proper length; or ``half_light_semimajor``, of the
        ellipse. Below 0.03 of a pixel, along any axis, it is drawn as that.
    ``axis_ratio`` or ``ellipticity``
        Minor over major axis, or 1 minus that.
    ``position_angle``
        Of the major axis, east of north (IAU), in degrees if it has no unit.
    ``class``
        ``"spiral"``, ... or the probabilities ``class_spiral``, ...; or the votes
        of Galaxy Zoo 2 by their names.
    conditions of the model
        ``sersic_index``, ``concentration``, ``g_r``, ... by their names on the card
        (``describe_model(name).templates.conditions``).
    positions
        ``ra`` and ``dec``, ``position`` (a SkyCoord), ``x`` and ``y`` (0-based pixels
        of ``wcs``; 1-based in columns named as SExtractor does), or others as for
        `~astrodlkit.extract_cutouts`.
    ``dx``, ``dy``
        Of the galaxy from the middle of its stamp, in pixels; with ``wcs`` from its
        position, and the stamp follows.
    ``latent``
        Latent variables, as `GalaxySimulator.complete` and
        `GalaxySimulator.encode` give.

    What is not given, or masked, None or NaN in one of the optional columns, is
    drawn for each row from the training set, given what is known; position
    angles are drawn evenly. ``dx``, ``dy`` and ``latent`` must be whole where they
    are given. A redshift and an absolute magnitude set size and flux alone;
    they are no conditions of the model.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from astrodlkit import list_models, simulate_galaxies
    >>> table = QTable({"mag": [20.0, 21.0], "half_light_radius": [0.8, 0.6] * u.arcsec})
    >>> if list_models("sdss-galaxies"):
    ...     cutouts = simulate_galaxies(
    ...         table, psf=0.7 * u.arcsec, pixel_scale=0.2 * u.arcsec, shape=48, rng=1
    ...     )
    ...     assert cutouts.data.shape == (2, 1, 48, 48)
    """
    return find_simulator(model, device).simulate(
        table,
        psf=psf,
        pixel_scale=pixel_scale,
        shape=shape,
        noise=noise,
        bands=bands,
        rng=rng,
        wcs=wcs,
        columns=columns,
        cosmology=cosmology,
        unit=unit,
        zero_point=zero_point,
        first=first,
        progress=progress,
    )


def find_simulator(model: PathLike | GalaxySimulator, device: str) -> GalaxySimulator:
    """Load the model that is named, if it is not one already."""
    if isinstance(model, GalaxySimulator):
        return model
    loaded = load_model(model, device=device)
    if not isinstance(loaded, GalaxySimulator):
        raise ValueError(f"model must be one for the task 'simulate', got {loaded!r}")
    return loaded
