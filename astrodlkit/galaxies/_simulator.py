"""The object behind `simulate_galaxies`: a card, a network, and the galaxies they make."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy import units as u
from astropy.cosmology import FLRW, Planck18
from astropy.table import QTable
from astropy.wcs import WCS

from .._rng import read_seed
from .._typing import PathLike, Progress
from ..cutouts import Cutouts
from ..engine import check_batch_size, progress_bar, resolve_device
from ..pretrained import ModelCard
from ._catalog import OPTIONS, Catalog
from ._complete import completed
from ._latent import encode, interpolate
from ._noise import NoiseModel
from ._object import to_galsim
from ._psf import galsim
from ._request import Request
from ._rows import draw_rows
from ._templates import STEP, Galaxies, make_galaxies
from ._write import write_stamps

__all__ = ["GalaxySimulator"]


class GalaxySimulator:
    """
    A network that makes templates of galaxies, drawn to the rows of a catalogue.

    Parameters
    ----------
    card : `~astrodlkit.ModelCard`
        What its templates are.
    module : `torch.nn.Module`
        The network: ``module(latent, conditions)`` gives templates; it has
        ``n_latent``, ``n_uniform``, ``condition_names`` and the methods
        ``complete``, ``support`` and ``encode``. It is moved to the device and
        put in evaluation mode.
    device : str or `torch.device`
        Where it runs: ``"auto"`` (a CUDA device where there is one, else the
        CPU), ``"cpu"``, ``"cuda:1"``, ...

    Attributes
    ----------
    card, module, device
        As above.
    spec : `~astrodlkit.specs.TemplateSpec`
        Of the card.

    See Also
    --------
    simulate_galaxies : The same in one call.
    astrodlkit.load_model : Makes one from a name.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from astrodlkit import list_models, load_model
    >>> table = QTable({"mag": [20.0, 21.0], "half_light_radius": [0.8, 0.6] * u.arcsec})
    >>> if "sdss-galaxies" in list_models(task="simulate"):
    ...     simulator = load_model("sdss-galaxies", device="cpu")
    ...     complete = simulator.complete(table, rng=1)
    """

    def __init__(
        self, card: ModelCard, module: torch.nn.Module, *, device: str | torch.device = "auto"
    ) -> None:
        if not isinstance(card, ModelCard):
            raise TypeError(f"card must be a ModelCard, got {type(card).__name__}")
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        if card.templates is None:
            raise ValueError(f"card must be one for the task 'simulate', got {card.task!r}")
        names: Any = getattr(module, "condition_names", ())
        if tuple(names) != card.templates.conditions:
            raise ValueError(
                f"card and module must have the same conditions, got {card.templates.conditions} "
                f"and {tuple(names)}"
            )
        self.card, self.spec = card, card.templates
        self.device = resolve_device(device)
        # Convolutions are faster with the channels last.
        self.module = module.to(self.device).to(memory_format=torch.channels_last).eval()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.card.full_name} on {self.device}>"

    def simulate(
        self,
        table: Any,
        *,
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
        progress: Progress = None,
    ) -> Cutouts:
        """
        Draw the galaxies of a catalogue.

        Parameters
        ----------
        table : table-like, length n
            The catalogue.
        psf, pixel_scale, shape, noise, bands, rng, wcs
            As for `simulate_galaxies`.
        columns, cosmology, unit, zero_point, first, progress
            As for `simulate_galaxies`.

        Returns
        -------
        cutouts : `~astrodlkit.Cutouts`, n x c x ny x nx
            As for `simulate_galaxies`.

        Raises
        ------
        TypeError, ValueError
            As for `simulate_galaxies`.
        """
        options: dict[str, Any] = {"psf": psf, "pixel_scale": pixel_scale, "shape": shape}
        options |= {"noise": noise, "bands": bands, "rng": rng, "wcs": wcs, "columns": columns}
        options |= {"cosmology": cosmology, "unit": unit, "zero_point": zero_point, "first": first}
        request = self._request(table, options)
        return draw_rows(self, request, range(len(request.catalog)), progress)

    def stream(
        self, table: Any, *, batch_size: int = 1024, progress: Progress = None, **options: Any
    ) -> Iterator[Cutouts]:
        """
        Draw the galaxies of a catalogue, of which some are in memory at a time.

        Parameters
        ----------
        table : table-like, length n
            The catalogue.
        batch_size : int
            Galaxies in each part but the last.
        progress : bool or callable, optional
            As for `simulate_galaxies`.
        **options
            What else `simulate` takes.

        Yields
        ------
        cutouts : `~astrodlkit.Cutouts`
            Consecutive rows of what `simulate` would give.

        Raises
        ------
        TypeError, ValueError
            As for `simulate_galaxies`.
        """
        check_batch_size(batch_size)
        request = self._request(table, options)
        n = len(request.catalog)
        with progress_bar(n, progress, description=self.card.name, unit="galaxy") as advance:
            for start in range(0, n, batch_size):
                rows = range(start, min(start + batch_size, n))
                yield draw_rows(self, request, rows, progress=False)
                advance(len(rows))

    def write(
        self,
        path: PathLike,
        table: Any,
        *,
        batch_size: int = 1024,
        overwrite: bool = False,
        progress: Progress = None,
        **options: Any,
    ) -> Path:
        """
        Draw the galaxies of a catalogue into a file, going on where it was stopped.

        Parameters
        ----------
        path : path-like
            A file that ends in ``.fits`` (``.fit``), or in ``.h5`` or ``.hdf5``
            (with the extra ``hdf5``), or a folder that ends in ``.zarr`` (with
            the extra ``zarr``). It appears when it is whole. Until then, what
            is drawn is in a folder beside it, named after it and ``.partial``,
            from which the same call goes on after it was stopped; with ``rng``
            None also with its seed.
        table : table-like, length n
            The catalogue.
        batch_size : int
            Galaxies in memory, and in a chunk of Zarr.
        overwrite : bool
            Whether a ``path`` with anything else in it may be replaced, and
            what another call left unfinished thrown away.
        progress : bool or callable, optional
            As for `simulate_galaxies`.
        **options
            What else `simulate` takes.

        Returns
        -------
        path : `~pathlib.Path`
            The same; `~astrodlkit.Cutouts` has ``read`` for it.

        Raises
        ------
        FileExistsError
            If it exists with anything but these stamps in it.
        TypeError, ValueError
            As for `simulate_galaxies`; or if what is unfinished there is of
            another call.
        """
        given: dict[str, Any] = {"batch_size": batch_size, "overwrite": overwrite}
        return write_stamps(self, path, table, options, progress=progress, **given)

    def complete(
        self,
        table: Any,
        *,
        bands: str | Sequence[str] | Mapping[str, str] = ("r",),
        rng: int | np.random.Generator | None = None,
        columns: Mapping[str, str] | None = None,
        cosmology: FLRW = Planck18,
        unit: u.UnitBase | str | None = None,
        zero_point: float | u.Quantity | None = None,
        first: int = 0,
    ) -> QTable:
        """
        What `simulate` draws: the catalogue with what it leaves open filled in.

        Parameters
        ----------
        table : table-like, length n
            The catalogue.
        bands, rng, columns, cosmology, unit, zero_point, first
            As for `simulate_galaxies`.

        Returns
        -------
        table : `~astropy.table.QTable`, length n
            The same rows and columns, and for each condition of the model, for
            ``flux_`` and the name of each band, ``position_angle`` and
            ``latent`` a column, by the names in ``columns``, and ``flags``. What was
            given is as it was. The galaxies of this table are the same again, with
            any seed.

        Raises
        ------
        TypeError, ValueError
            As for `simulate_galaxies`; if the table has a column ``flags`` of
            another kind.
        """
        options = {"bands": bands, "columns": columns, "cosmology": cosmology}
        options |= {"unit": unit, "zero_point": zero_point, "first": first}
        catalog = self._catalog(table, options)
        seed, n = read_seed(rng), len(catalog)
        chunks = (range(start, min(start + STEP, n)) for start in range(0, max(n, 1), STEP))
        made = (self._galaxies(catalog, seed, chunk) for chunk in chunks)
        # The templates of all rows would not fit into memory.
        parts = [replace(part, planes=part.planes[:0]) for part in made]
        return completed(catalog, self.spec, parts, columns)

    def to_galsim(
        self,
        row: Any,
        *,
        band: str = "r",
        rng: int | np.random.Generator | None = None,
        columns: Mapping[str, str] | None = None,
        cosmology: FLRW = Planck18,
        unit: u.UnitBase | str | None = None,
        zero_point: float | u.Quantity | None = None,
    ) -> Any:
        """
        The galaxy of one row as a GalSim object, without PSF.

        Parameters
        ----------
        row : `~astropy.table.Row`, or table-like of one row
            Of a catalogue; with its number the row is the same galaxy as in
            `simulate`. A table of one row, or a mapping with one value for
            each column, is row 0.
        band : str
            One of the template's. A flux or magnitude without the name of a band is
            that of this one, as where it alone is drawn; `complete` gives all.
        rng, columns, cosmology, unit, zero_point
            As for `simulate_galaxies`.

        Returns
        -------
        galaxy : `galsim.GSObject`
            Its flux is that of the row, in ``unit``; lengths are in arcseconds,
            with north along y and east along -x.

        Raises
        ------
        TypeError, ValueError
            As for `simulate_galaxies`, and if the row cannot be drawn.
        """
        options = {"columns": columns, "cosmology": cosmology}
        options |= {"unit": unit, "zero_point": zero_point}
        return to_galsim(self, row, band, rng, options)

    def interpolate(
        self,
        table: Any,
        n: int = 8,
        *,
        rng: int | np.random.Generator | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> Cutouts:
        """
        Templates on the way from each galaxy of a table to the next.

        Parameters
        ----------
        table : table-like, length m
            What is known of the galaxies: conditions, or ``latent``, or
            nothing but rows.
        n : int
            Steps from one galaxy to the next.
        rng, columns
            As for `simulate_galaxies`.

        Returns
        -------
        templates : `~astrodlkit.Cutouts`, n (m - 1) + 1 templates
            In all bands of the model. Latent variables go along great circles,
            as their lengths mean little (Shoemake 1985, SIGGRAPH 19, 245),
            conditions straight.

        Raises
        ------
        ValueError
            If there are less than two galaxies, one of them has a value that
            cannot be, or ``n`` is not a positive number.
        """
        return interpolate(self, table, n, rng, columns)

    def encode(
        self, cutouts: Cutouts, table: Any = None, *, columns: Mapping[str, str] | None = None
    ) -> QTable:
        """
        Latent variables of pictures of real galaxies.

        Parameters
        ----------
        cutouts : `~astrodlkit.Cutouts`, length n
            Galaxies in the middle of their stamps, in the bands of the model,
            in linear units, without sky and neighbours. Masked pixels are
            taken from the opposite side of the stamp's middle.
        table : table-like, length n, optional
            What is known of them, as for `simulate_galaxies`; shapes and
            colours are measured where it says nothing, and the rest is the
            middle of what such galaxies of the training set have.
        columns : mapping, optional
            As for `simulate_galaxies`.

        Returns
        -------
        table : `~astropy.table.QTable`, length n
            ``latent``, the conditions, and ``flags``; what could not be encoded
            is NaN. With fluxes and sizes beside them, `simulate` draws
            these galaxies.

        Raises
        ------
        ValueError
            If the cutouts lack a band of the model, or the table has other rows.
        """
        return encode(self, cutouts, table, columns)

    def _request(self, table: Any, options: dict[str, Any]) -> Request:
        galsim()
        catalog = self._catalog(table, {k: options.pop(k) for k in OPTIONS if k in options})
        return Request.read(catalog, self.spec, **options)

    def _catalog(self, table: Any, options: dict[str, Any]) -> Catalog:
        return Catalog.read(table, self.spec, **options)

    def _galaxies(self, catalog: Catalog, seed: int, rows: range) -> Galaxies:
        self.module.eval()
        return make_galaxies(self.module, self.device, self.spec, catalog, seed=seed, rows=rows)
