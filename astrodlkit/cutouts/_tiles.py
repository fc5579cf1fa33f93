"""Many images as one source of pixels: an index of files and of where on the sky they lie."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from numpy.typing import NDArray

from .._flags import Flag
from .._typing import PathLike
from ._alike import blank_like, misfits
from ._cutouts import Cutouts
from ._footprints import Footprints, unit_vectors
from ._image import Image
from ._index import read_index
from ._opened import OpenImages
from ._positions import read_positions
from ._remote import BadImageError, strips
from ._sizes import read_size, some_sizes

__all__ = ["TileIndex", "on_sky"]

# Images without a unit that are opened to find one that has one.
_ASKED = 8


class TileIndex:
    """
    Images of which each covers a part of the sky, opened where sources lie.

    A source is taken from the image of each band in which it is farthest from
    the edges.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A row for each image, as `~astrodlkit.cutouts.index_images` makes it; or any
        table with the columns

        * ``path``: of a FITS file, or a URL that fsspec understands;
        * ``s_region``: the image's outline in the ICRS, a convex polygon as
          ObsCore writes it: ``"POLYGON ICRS ra dec ra dec ..."`` in degrees;
        * ``hdu``, optional: number of the HDU; without it, the first image;
        * ``band``, optional: its band; without it, all are one band, ``image``;
        * ``pixel_scale``, optional: in arcsec.

    Attributes
    ----------
    table : `~astropy.table.Table`
        As above.
    bands : tuple of str
        In the order in which they first come.

    Raises
    ------
    ValueError
        If a column is missing, the table has no rows, or an outline is no
        polygon.

    See Also
    --------
    astrodlkit.cutouts.index_images : Makes the table from a folder.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astrodlkit.cutouts import TileIndex
    >>> TileIndex(Table({"path": ["a.fits", "b.fits"], "band": ["g", "g"], "s_region": [
    ...     "POLYGON ICRS 10 0 11 0 11 1 10 1", "POLYGON ICRS 11 0 12 0 12 1 11 1"]}))
    <TileIndex: 2 images, bands g>
    """

    def __init__(self, table: Table) -> None:
        missing = [name for name in ("path", "s_region") if name not in table.colnames]
        if missing or not len(table):
            raise ValueError(
                "an index of images needs one or more rows and the columns 'path' and 's_region', "
                f"got {len(table)} rows of {table.colnames}; index_images makes one of a folder"
            )
        self.table = table
        n, names = len(table), table.colnames
        bands = [str(band) for band in table["band"]] if "band" in names else ["image"] * n
        self.bands = tuple(dict.fromkeys(bands))
        self._rows = {
            band: np.array([i for i in range(n) if bands[i] == band]) for band in self.bands
        }
        self._sky = {
            band: Footprints([str(table["s_region"][i]) for i in rows])
            for band, rows in self._rows.items()
        }
        hdus: list[int | None] = [None] * n
        if "hdu" in names:
            # Where it is masked, the index does not say.
            hdus = [None if number is np.ma.masked else int(number) for number in table["hdu"]]
        self._files = list(zip((str(path) for path in table["path"]), hdus, strict=True))
        self._opened = OpenImages()
        self._typical: dict[str, Image] = {}

    @classmethod
    def read(cls, path: PathLike) -> "TileIndex":
        """
        The index in a file.

        Parameters
        ----------
        path : path-like
            Any table that astropy reads, or the URL of a Parquet file; relative
            paths in it begin at its folder.

        Returns
        -------
        index : TileIndex
            The index.
        """
        return cls(read_index(path))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.table)} images, bands {', '.join(self.bands)}>"

    @property
    def pixel_scale(self) -> u.Quantity | None:
        """Median angle of a pixel of the first band; None if the index does not say."""
        if "pixel_scale" not in self.table.colnames:
            return None
        scales = u.Quantity(self.table["pixel_scale"][self._rows[self.bands[0]]])
        scale = np.median(scales if scales.unit != u.dimensionless_unscaled else scales * u.arcsec)
        return scale.to(u.arcsec) / u.pix

    def locate(
        self, positions: SkyCoord, bands: Sequence[str] | None = None, *, reach: Any = 0 * u.deg
    ) -> NDArray[np.intp]:
        """
        The images that hold positions best.

        Parameters
        ----------
        positions : `~astropy.coordinates.SkyCoord`, shape (n,)
            Where; in any frame.
        bands : sequence of str, optional
            Of c bands; by default all.
        reach : `~astropy.units.Quantity`, shape () or (n,)
            Angle by which a position may lie off its image.

        Returns
        -------
        rows : `~numpy.ndarray` of int, shape (n, c)
            Rows of the table; -1 where no image is near.
        """
        points = unit_vectors(positions)
        away = np.broadcast_to(u.Quantity(reach).to_value(u.rad), len(points))
        found = np.empty((len(points), len(bands or self.bands)), dtype=np.intp)
        for k, band in enumerate(bands or self.bands):
            best = self._sky[band].deepest(points, away)
            found[:, k] = np.where(best < 0, -1, self._rows[band][best])
        return found

    def extract(self, positions: Any, size: Any, **options: Any) -> Cutouts:
        """
        Cut stamps out of the images that hold them best.

        Parameters
        ----------
        positions : `~astropy.coordinates.SkyCoord` or table-like, n rows
            As of `~astrodlkit.extract_cutouts`, but on the sky.
        size, **options
            As of `~astrodlkit.extract_cutouts`. An angle is rounded to pixels
            with the pixel scale of the index.

        Returns
        -------
        cutouts : Cutouts
            n stamps in the order of ``positions``, in the unit of the first image;
            the flags ``no_overlap`` and ``unreadable`` say that there was no image.

        Raises
        ------
        TypeError, ValueError
            As of `~astrodlkit.extract_cutouts`.
        """
        coords = on_sky(positions)
        shape = options.get("shape")
        if shape is None and options.get("pixel_scale") is None:
            size = self._in_pixels(size, len(coords))
        parts, rows, lost, flags = [], [], [], []
        like = self._like(self._check_bands(options.get("bands"))[0])
        for places, part in self.groups(coords, size, like=like, **options):
            if isinstance(part, Cutouts):
                parts.append(part)
                rows.append(places)
            else:
                lost.append(places)
                flags.append(np.full(len(places), part | Flag.MASKED_PIXELS))
        if lost or not parts:
            nowhere = np.concatenate([*lost, np.array([], dtype=np.intp)])
            parts.append(
                self._blank(coords[nowhere], some_sizes(size, nowhere, shape), like, options)
            )
            if lost:
                parts[-1]._flags[:] = np.concatenate(flags)  # noqa: SLF001
            rows.append(nowhere)
        return Cutouts.concatenate(parts)[np.argsort(np.concatenate(rows))]

    def groups(
        self,
        positions: SkyCoord,
        size: Any,
        *,
        bands: Sequence[str] | None = None,
        conserve: str | Callable[[u.UnitBase | None], str] = "surface brightness",
        like: Image | None = None,
        **options: Any,
    ) -> Iterator[tuple[NDArray[np.intp], Cutouts | Flag]]:
        """
        Cut stamps, those out of the same images together.

        Parameters
        ----------
        positions : `~astropy.coordinates.SkyCoord`, shape (n,)
            Where.
        size, bands, **options
            As of `~astrodlkit.extract_cutouts`.
        conserve : str or callable
            As there, or what gives it for the unit of the images.
        like : Image, optional
            In whose unit the stamps are, and with an uncertainty if it has one;
            by default the stamps of each group are like its images.

        Yields
        ------
        rows : `~numpy.ndarray` of int
            Some of the positions.
        cutouts : Cutouts or Flag
            Their stamps; or why there are none.
        """
        names = self._check_bands(bands)
        by_row = options.get("shape") is not None
        read_size(size, len(positions), by_row=by_row)
        reach = self._reach(size, by_row=by_row)
        located = self.locate(positions, names, reach=reach)
        if not len(located):
            return
        keys, group = np.unique(located, axis=0, return_inverse=True)
        order = np.argsort(group.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(group.ravel()))[:-1]
        for key, rows in zip(keys, np.split(order, ends), strict=True):
            if (key < 0).any():
                lost = ~np.isfinite(unit_vectors(positions[rows])).all(axis=1)
                for which, why in ((lost, Flag.INVALID_POSITION), (~lost, Flag.NO_OVERLAP)):
                    if which.any():
                        yield rows[which], why | Flag.ALL_MASKED
                continue
            images = self._images(names, key.tolist(), like)
            if images is None:
                yield rows, Flag.UNREADABLE | Flag.ALL_MASKED
                continue
            unit = images[names[0]].unit
            options["conserve"] = conserve(unit) if callable(conserve) else conserve
            for some in strips(images[names[0]], positions[rows]):
                yield from self._cut(images, positions, size, rows[some], options)

    def _images(
        self, names: Sequence[str], numbers: Sequence[int], like: Image | None
    ) -> dict[str, Image] | None:
        """The images of some rows of the table, by band; None if they cannot be used together."""
        files = dict(zip(names, (self._files[i] for i in numbers), strict=True))
        try:
            images = {band: self._opened.get(*file) for band, file in files.items()}
        except BadImageError:
            return None
        bad = misfits(images, like)
        for band, why in bad.items():
            file = files[band]
            self._opened.leave_out(file[0], f"{file[0]}: {self._opened.note(*file) or why}")
        if bad:
            return None
        for file in files.values():
            self._opened.use(*file)
        return {b: i if like is None else i.converted(like.unit) for b, i in images.items()}

    def _cut(
        self,
        images: dict[str, Image],
        positions: SkyCoord,
        size: Any,
        rows: NDArray[np.intp],
        options: dict[str, Any],
    ) -> Iterator[tuple[NDArray[np.intp], Cutouts | Flag]]:
        """Cut the stamps of some rows out of the same images; see `groups`."""
        from ._extract import extract_cutouts

        try:
            sizes = some_sizes(size, rows, options.get("shape"))
            cutouts = extract_cutouts(images, positions[rows], sizes, **options)
        except BadImageError as exc:
            self._opened.leave_out(exc.path, exc, part=True)
            if len(rows) == 1:
                yield rows, Flag.UNREADABLE | Flag.ALL_MASKED
                return
            # Which rows need the damaged part must not depend on which are cut together.
            for half in np.array_split(rows, 2):
                yield from self._cut(images, positions, size, half, options)
        else:
            yield rows, cutouts

    def order(self, positions: SkyCoord) -> NDArray[np.intp]:
        """
        An order in which sources of the same images stand together.

        Parameters
        ----------
        positions : `~astropy.coordinates.SkyCoord`, shape (n,)
            Of the sources.

        Returns
        -------
        order : `~numpy.ndarray` of int, shape (n,)
            Numbers of the positions.
        """
        return np.lexsort(self.locate(positions).T[::-1])

    def _good(self, band: str) -> Iterator[Image]:
        """The images of a band that can be read."""
        for i in self._rows[band]:
            with suppress(BadImageError):
                yield self._opened.get(*self._files[i])

    def _first(self, band: str) -> Image:
        for image in self._good(band):
            return image
        raise OSError(f"none of the {len(self._rows[band])} images of band {band!r} can be read")

    def _like(self, band: str) -> Image:
        """The image of a band with which all must go: the first, or the first that has a unit."""
        if band not in self._typical:
            some = islice(self._good(band), _ASKED)
            with_unit = (image for image in some if image.unit is not None)
            image = next(with_unit, None) or self._first(band)
            self._typical[band] = blank_like(image, image)
        return self._typical[band]

    def _check_bands(self, bands: Sequence[str] | None) -> tuple[str, ...]:
        names = (
            self.bands if bands is None else (bands,) if isinstance(bands, str) else tuple(bands)
        )
        unknown = [name for name in names if name not in self.bands]
        if unknown or not names:
            raise ValueError(f"bands has {unknown}, but the index of images only {self.bands}")
        return names

    def _reach(self, size: Any, *, by_row: bool) -> u.Quantity:
        """Half the diagonal of the stamps: so far off an image it may still be seen in them."""
        size = getattr(size, "unmasked", size)
        if getattr(size, "unit", None) in (None, u.pix, u.dimensionless_unscaled):
            scale = 0 * u.arcsec / u.pix if self.pixel_scale is None else self.pixel_scale
            size = u.Quantity(getattr(size, "value", size), u.pix) * scale
        half = np.nan_to_num(np.abs(size.to_value(u.deg)) / np.sqrt(2), posinf=0.0)
        return np.minimum(half if by_row else half.max(), 1.0) * u.deg

    def _in_pixels(self, size: Any, n: int) -> Any:
        """A size of the same number of pixels in all images."""
        asked = read_size(size, n, by_row=False)
        if asked.angle is None:
            return size
        if self.pixel_scale is None:
            raise ValueError("size must be in pixels: the index of images has no 'pixel_scale'")
        scale = (self.pixel_scale * u.pix).to_value(u.deg)
        return np.maximum(np.round(np.array(asked.angle) / scale), 1).astype(int)

    def _blank(self, coords: SkyCoord, size: Any, like: Image, options: dict[str, Any]) -> Cutouts:
        """Stamps for positions without an image, as of the first one that can be read."""
        from ._extract import extract_cutouts

        names = self._check_bands(options.get("bands"))
        rest = {name: value for name, value in options.items() if name != "bands"}
        images = {band: blank_like(self._first(band), like) for band in names}
        cutouts = extract_cutouts(images, coords, size, **rest)
        cutouts.data[...], cutouts.mask[...] = options.get("fill_value", 0.0), True
        if cutouts.variance is not None:
            cutouts.variance[...] = np.inf
        return cutouts


def on_sky(positions: Any) -> SkyCoord:
    """Positions that can be found in an index."""
    found = read_positions(positions)
    if not isinstance(found, SkyCoord):
        raise ValueError("positions must be on the sky to be found in an index of images")
    return found
