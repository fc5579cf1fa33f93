"""The verb: a cosmology goes in, maps come out."""

from typing import Any

import numpy as np
from astropy import units as u
from astropy.cosmology import FLRW, Planck18
from astropy.nddata import NDDataArray

from .._typing import PathLike, Progress
from ..pretrained import describe_model, list_models, load_model
from ._emulator import DensityMapEmulator
from ._request import has_pixels, read_grid, wrong_pixel

__all__ = ["emulate_density_maps", "find_emulator"]


def emulate_density_maps(
    n: int = 1,
    *,
    box_size: u.Quantity = 500 * u.Mpc,
    redshift: float | u.Quantity = 0,
    cosmology: FLRW = Planck18,
    shape: tuple[int, int] = (256, 256),
    sigma8: float | u.Quantity | None = None,
    rng: int | np.random.Generator | None = None,
    model: PathLike | DensityMapEmulator | None = None,
    unit: u.UnitBase | str = u.dimensionless_unscaled,
    device: str = "auto",
    progress: Progress = None,
) -> NDDataArray:
    """
    Draw maps of the projected matter density, such as N-body simulations give.

    Parameters
    ----------
    n : int
        Number of maps; 0 gives an array of no map.
    box_size : `~astropy.units.Quantity`
        Side of a map, or its sides (y, x), in comoving Mpc. With ``shape`` it
        says how large a pixel is, and that which model is taken: 500 Mpc in
        256 pixels, 1000 Mpc in 512, ...
    redshift : float or `~astropy.units.Quantity`
        0 or more, also as `~astropy.cosmology.z_at_value` gives it.
    cosmology : `~astropy.cosmology.FLRW`
        Flat, with matter.
    shape : (int, int)
        Pixels (ny, nx) of a map, 16 or more on each side, odd or even.
    sigma8 : float or `~astropy.units.Quantity`, optional
        Today; by default ``cosmology.meta["sigma8"]``.
    rng : int or `~numpy.random.Generator`, optional
        The seed, or where it is drawn from. Map i depends on the seed and i
        alone, and the same seed gives the same structure, evolved, at another
        redshift or in another cosmology.
    model : str, path or `DensityMapEmulator`, optional
        A name of `~astrodlkit.list_models`, a path, or a loaded model; by
        default the one that has the pixels.
    unit : unit
        Dimensionless for 1 + delta, the density in units of the mean; or one
        of surface density, such as ``"Msun / Mpc2"``: the matter of the slab
        in each comoving area. Times (1 + redshift)**2 it is per proper area.
    device : str
        ``"auto"`` (a CUDA device where there is one, else the CPU), ``"cpu"``,
        ``"cuda:1"``, ...
    progress : bool or callable, optional
        `True` shows a bar, `False` none, `None` one if standard error is a
        terminal; a callable is called with ``(done, total)``.

    Returns
    -------
    maps : `~astropy.nddata.NDDataArray` of float32, shape (n, ny, nx)
        Periodic maps. The WCS is linear: x and y in comoving Mpc from the
        lower left corner, and the number of the map. ``meta`` has

        * ``cosmology``, ``redshift``, ``sigma8`` (today) and
          ``sigma8_at_redshift``, by linear growth;
        * ``thickness`` of the slab and ``box_size`` (y, x), comoving;
        * ``seed``, which as ``rng`` gives the same maps again, ``model``,
          ``sha256`` of its weights and ``version`` of astrodlkit;
        * ``flags``: a dict that is empty within the domain that the model was
          trained for; see Notes.

    Raises
    ------
    TypeError
        If an argument is of a kind that means nothing, such as a ``box_size``
        without a unit.
    ValueError
        If no model has pixels of this size, if the cosmology is curved, does
        not expand, has no matter or does not say sigma8, or if a number is out
        of range.
    `~astropy.units.UnitConversionError`
        If ``box_size`` is no length or ``unit`` no density.
    astrodlkit.exceptions.UnknownModelError
        If there is no such model.

    Warns
    -----
    astrodlkit.exceptions.AstrodlkitWarning
        If the cosmology or the redshift is outside the domain.

    See Also
    --------
    DensityMapEmulator : Keeps the model.
    DensityMapEmulator.stream : Draws any number into a FITS, HDF5 or Zarr file, and goes on where
        it was stopped; from the command line that is ``astrodlkit emulate``.

    Notes
    -----
    ``meta["flags"]`` has a text for each of these that is outside: ``Om0``,
    ``sigma8`` and ``redshift`` (the range of the training set); ``H0``,
    ``n_s`` (``cosmology.meta["n"]``) and ``Tcmb0`` (1 % from the value that
    all its cosmologies had), ``Ob0`` (10 %), ``Neff`` (20 %) and ``m_nu``
    (0.1 eV in all); ``dark_energy`` (anything but a cosmological constant).
    What a cosmology does not say is not held against it.

    Maps are computed in float32, one for each thread, and large ones in
    pieces. On a CPU a map is the same to the last bit whatever ``n`` is; with
    another number of threads, or on another machine, the last digits of
    float32 may differ.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astrodlkit import emulate_density_maps, list_models
    >>> from astropy.cosmology import Planck18
    >>> if list_models("cosmicweb-500mpc"):
    ...     maps = emulate_density_maps(2, redshift=0.5, cosmology=Planck18, rng=1)
    ...     assert maps.data.shape == (2, 256, 256)
    """
    emulator = find_emulator(model, shape, box_size, device)
    return emulator.sample(
        n,
        box_size=box_size,
        redshift=redshift,
        cosmology=cosmology,
        shape=shape,
        sigma8=sigma8,
        rng=rng,
        unit=unit,
        progress=progress,
    )


def find_emulator(
    model: PathLike | DensityMapEmulator | None, shape: Any, box_size: Any, device: str
) -> DensityMapEmulator:
    """
    The model that is named, or else the one with the right pixels.

    Parameters
    ----------
    model, shape, box_size, device : object
        The arguments of `emulate_density_maps`.

    Returns
    -------
    emulator : DensityMapEmulator
        Loaded.
    """
    if isinstance(model, DensityMapEmulator):
        return model
    if model is None:
        shape, pixel = read_grid(shape, box_size)
        cards = {name: describe_model(name) for name in list_models(task="emulate")}
        specs = [(name, card.maps) for name, card in cards.items() if card.maps is not None]
        right = [name for name, spec in specs if has_pixels(pixel, spec)]
        if specs and not right:
            raise ValueError(wrong_pixel(shape, pixel, specs))
        # Without any model the registry says so.
        model = right[0] if right else "cosmicweb-500mpc"
    loaded = load_model(model, device=device)
    if not isinstance(loaded, DensityMapEmulator):
        raise ValueError(f"model must be one for the task 'emulate', got {loaded!r}")
    return loaded
