"""The object behind `emulate_density_maps`: a card, a network, and the maps they make."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy import units as u
from astropy.cosmology import FLRW, Planck18
from astropy.nddata import NDDataArray
from numpy.typing import NDArray

from .._typing import PathLike, Progress
from ..engine import progress_bar, resolve_device, run_batches
from ..engine._fingerprint import weights_digest
from ..engine._threads import worker_pool
from ..engine._unfinished import check_target, clear_leftovers, read_unfinished
from ..exceptions import AstrodlkitWarning
from ..pretrained import ModelCard
from ._read import holds
from ._record import FORMATS
from ._request import Request
from ._write import writer

__all__ = ["DensityMapEmulator"]

# Pixels of the maps that are made together.
_PIXELS = 2**20
_MOST = 64


class DensityMapEmulator:
    """
    A network that draws maps of the projected matter density.

    Parameters
    ----------
    card : `~astrodlkit.ModelCard`
        What its maps are.
    module : `torch.nn.Module`
        The network: ``module(noise, conditions)`` gives 1 + delta, see
        `~astrodlkit.networks.DensityMapNetwork`. It is moved to the device
        and put in evaluation mode.
    device : str or `torch.device`
        Where it runs: ``"auto"`` (a CUDA device where there is one, else the
        CPU), ``"cpu"``, ``"cuda:1"``, ...

    Attributes
    ----------
    card, module, device
        As above.
    spec : `~astrodlkit.specs.MapSpec`
        Of the card.

    See Also
    --------
    emulate_density_maps : The same in one call.
    astrodlkit.load_model : Makes one from a name.

    Examples
    --------
    A network without any training stands in for a model:

    >>> from astrodlkit.cosmicweb import DensityMapEmulator
    >>> from astrodlkit.networks import build
    >>> from astrodlkit.pretrained import ModelCard
    >>> from astrodlkit.specs import MapSpec
    >>> card = ModelCard(
    ...     name="web", title="Noise", task="emulate", architecture="density-maps",
    ...     options={"pixel": 2.0, "widths": [8, 8]},
    ...     maps=MapSpec(pixel=2, box_size=512, thickness=8, domain={
    ...         "Om0": (0.1, 0.5), "sigma8": (0.6, 1.0), "redshift": (0, 2)}),
    ... )
    >>> emulator = DensityMapEmulator(card, build("density-maps", **card.options), device="cpu")
    >>> maps = emulator.sample(2, shape=(32, 64), redshift=0.5, rng=1)
    >>> maps.data.shape, maps.meta["box_size"]
    ((2, 32, 64), <Quantity [ 64., 128.] Mpc>)

    Into a file, and back:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from astrodlkit.cosmicweb import read_density_maps
    >>> with TemporaryDirectory() as folder:
    ...     path = emulator.stream(Path(folder, "maps.fits"), 5, shape=(32, 64), rng=1)
    ...     part = read_density_maps(path, start=1, stop=3)
    >>> part.data.shape, part.meta["seed"]
    ((2, 32, 64), 1)
    """

    def __init__(
        self, card: ModelCard, module: torch.nn.Module, *, device: str | torch.device = "auto"
    ) -> None:
        if not isinstance(card, ModelCard):
            raise TypeError(f"card must be a ModelCard, got {type(card).__name__}")
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        if card.maps is None:
            raise ValueError(f"card must be one for the task 'emulate', got {card.task!r}")
        self.card, self.spec = card, card.maps
        self.device = resolve_device(device)
        self.module = module.to(self.device).eval()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.card.full_name} on {self.device}>"

    def sample(
        self,
        n: int = 1,
        *,
        box_size: u.Quantity | None = None,
        redshift: float | u.Quantity = 0,
        cosmology: FLRW = Planck18,
        shape: tuple[int, int] = (256, 256),
        sigma8: float | u.Quantity | None = None,
        rng: int | np.random.Generator | None = None,
        unit: u.UnitBase | str = u.dimensionless_unscaled,
        progress: Progress = None,
    ) -> NDDataArray:
        """
        Draw maps.

        Parameters
        ----------
        n : int
            Number of maps.
        box_size : `~astropy.units.Quantity`, optional
            Sides of a map as for `emulate_density_maps`; by default what
            ``shape`` gives with the model's pixels.
        redshift, cosmology, shape, sigma8, rng, unit, progress
            As for `emulate_density_maps`.

        Returns
        -------
        maps : `~astropy.nddata.NDDataArray` of float32, shape (n, ny, nx)
            As for `emulate_density_maps`.

        Raises
        ------
        TypeError, ValueError
            As for `emulate_density_maps`; or if there is no memory for ``n`` maps.

        Warns
        -----
        astrodlkit.exceptions.AstrodlkitWarning
            If the cosmology or the redshift is outside the domain.
        """
        request = Request.read(
            self.card,
            self.spec,
            n,
            box_size=box_size,
            redshift=redshift,
            cosmology=cosmology,
            shape=shape,
            sigma8=sigma8,
            rng=rng,
            unit=unit,
        )
        maps = _empty(request)
        for rows, values in self._run(request, progress):
            maps[rows] = values
        return NDDataArray(maps, unit=request.unit, wcs=request.wcs, meta=request.meta)

    def stream(
        self,
        path: PathLike,
        n: int,
        *,
        box_size: u.Quantity | None = None,
        redshift: float | u.Quantity = 0,
        cosmology: FLRW = Planck18,
        shape: tuple[int, int] = (256, 256),
        sigma8: float | u.Quantity | None = None,
        rng: int | np.random.Generator | None = None,
        unit: u.UnitBase | str = u.dimensionless_unscaled,
        overwrite: bool = False,
        progress: Progress = None,
    ) -> Path:
        """
        Draw maps into a file, of which a few are in memory at a time.

        Parameters
        ----------
        path : str or path-like
            A file that ends in ``.fits``, or in ``.h5`` or ``.hdf5`` (with
            the extra ``hdf5``), or a folder that ends in ``.zarr`` (with the
            extra ``zarr``). It appears when it is whole. Until then, what is
            made is in a folder beside it, named after it and ``.partial``,
            from which the same call goes on after it was stopped; with ``rng``
            None also with its seed.
        n : int
            Number of maps, 1 or more.
        box_size, redshift, cosmology, shape, sigma8, rng, unit, progress
            As for `sample`.
        overwrite : bool
            Whether a ``path`` with anything else in it may be replaced, and
            what another call left unfinished thrown away.

        Returns
        -------
        path : `~pathlib.Path`
            The same.

        Raises
        ------
        FileExistsError
            If it exists with anything but these maps in it, and ``overwrite``
            is not set.
        astrodlkit.exceptions.MissingDependencyError
            If a package is needed to write it.
        OSError
            If the disk has no room for the maps.
        TypeError, ValueError
            As for `sample`; or if what is unfinished there is of another call.

        See Also
        --------
        read_density_maps : The reverse.
        """
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path must be a str or path-like, got {path!r}")
        path = check_target(Path(path), FORMATS)
        if rng is None:
            rng = read_unfinished(path).get("seed")
        request = Request.read(
            self.card,
            self.spec,
            n,
            box_size=box_size,
            redshift=redshift,
            cosmology=cosmology,
            shape=shape,
            sigma8=sigma8,
            rng=rng,
            unit=unit,
        )
        if request.n == 0:
            raise ValueError("n must be 1 or more: a file of no map says nothing; got 0")
        if path.exists() and not overwrite:
            if holds(path, request):
                clear_leftovers(path)
                return path
            raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
        with writer(
            path,
            request,
            _step(request.shape),
            digest=weights_digest(self),
            overwrite=overwrite,
        ) as file:
            for rows, values in self._run(request, progress, done=file.done):
                file.write(rows, values)
        return path

    def _run(
        self, request: Request, progress: Progress, *, done: int = 0
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Consecutive maps, a few at a time."""
        if request.flags:
            warnings.warn(
                f"outside the domain of {self.card.full_name}: {'; '.join(request.flags.values())}",
                AstrodlkitWarning,
                stacklevel=3,
            )
        self.module.eval()
        conditions = torch.tensor([request.conditions], dtype=torch.float32, device=self.device)
        n_channels: Any = self.module.n_channels
        step, shape = _step(request.shape), (n_channels, *request.shape)

        def answer(noise: torch.Tensor) -> dict[str, torch.Tensor]:
            known = conditions.expand(len(noise), -1)
            return {"maps": request.scale * self.module(noise, known)}

        def draw(numbers: range) -> NDArray[np.float32]:
            noise = np.stack([_white(request.seed, i, shape) for i in numbers])
            return run_batches(answer, noise, batch_size=step, device=self.device)["maps"]

        # On a CPU one map at a time in each worker. A map has as many threads whatever n is: their
        # number changes the last digits.
        on_cpu, threads = self.device.type == "cpu", torch.get_num_threads()
        size, workers = (1, min(threads, step)) if on_cpu else (step, 1)
        with (
            worker_pool(workers, threads // workers) as pool,
            progress_bar(request.n, progress, description=self.card.name, unit="map") as advance,
        ):
            if done:
                advance(done)
            for start in range(done, request.n, step):
                numbers = range(start, min(start + step, request.n))
                pieces = [numbers[i : i + size] for i in range(0, len(numbers), size)]
                maps = np.concatenate(list(pool.map(draw, pieces)))
                if not np.isfinite(maps).all():
                    raise ValueError(
                        f"{self.card.full_name} gives no finite densities so far outside its "
                        f"domain: {'; '.join(request.flags.values())}"
                    )
                yield slice(numbers.start, numbers.stop), maps
                advance(len(maps))


def _empty(request: Request) -> NDArray[np.float32]:
    """Memory for maps."""
    try:
        return np.empty((request.n, *request.shape), np.float32)
    except (MemoryError, ValueError) as exc:  # more than there is, or than an array can have
        raise ValueError(
            f"n={request.n} maps of {request.shape} pixels take {request.size} of memory: "
            "DensityMapEmulator.stream writes them into a file, a few at a time"
        ) from exc


def _step(shape: tuple[int, int]) -> int:
    """How many maps are made together."""
    return min(max(_PIXELS // (shape[0] * shape[1]), 1), _MOST)


def _white(seed: int, i: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """White noise of map i, whichever maps are made beside it."""
    generator = np.random.Generator(np.random.Philox(key=[seed, i]))
    return generator.standard_normal(shape, dtype=np.float32)
