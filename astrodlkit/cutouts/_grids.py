"""What rebuilds the WCS of one stamp, kept for all stamps at once."""

import json
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any
from zlib import crc32

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning, Sip
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

__all__ = [
    "ParentGrid",
    "TangentGrid",
    "local_jacobian",
    "lonlat_to_pixel",
    "mean_scale",
    "pixel_to_lonlat",
    "quiet_wcs",
    "shifted",
    "sky_to_lonlat",
]


def quiet_wcs(header: fits.Header, fobj: fits.HDUList | None = None) -> WCS:
    """The WCS of a header, without the warnings on what astropy repaired in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header, fobj=fobj)


def sky_to_lonlat(wcs: WCS, coords: SkyCoord) -> NDArray[np.float64]:
    """Longitude and latitude in degrees, shape (2, n), in the frame of ``wcs``."""
    sphere = coords.transform_to(wcs_to_celestial_frame(wcs)).spherical
    return np.array([sphere.lon.deg, sphere.lat.deg])


def lonlat_to_pixel(
    wcs: WCS, lon: NDArray, lat: NDArray, shape: tuple[int, int]
) -> tuple[NDArray, NDArray]:
    """
    0-based x and y of positions in the frame of ``wcs``; NaN outside the projection.

    ``shape`` is (ny, nx) of the image.
    """
    world = np.full((lon.size, 2), np.nan)
    world[:, wcs.wcs.lng], world[:, wcs.wcs.lat] = lon.ravel(), lat.ravel()
    pixel = np.full((lon.size, 2), np.nan)
    good = np.isfinite(world).all(axis=1)
    if good.any():
        # The core WCS first: far from the image a distortion polynomial means nothing, and
        # its inverse need not converge.
        pixel[good] = wcs.wcs_world2pix(world[good], 0)
    if wcs.has_distortion:
        size = np.array(shape[::-1])
        near = ((pixel > -size) & (pixel < 2 * size)).all(axis=1)
        if near.any():
            pixel[near] = wcs.all_world2pix(world[near], 0, quiet=True, tolerance=1e-7)
    return pixel[:, 0].reshape(lon.shape), pixel[:, 1].reshape(lon.shape)


def pixel_to_lonlat(wcs: WCS, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Longitude and latitude in degrees, in the frame of ``wcs``, of 0-based pixels."""
    world = wcs.all_pix2world(np.column_stack([x.ravel(), y.ravel()]), 0)
    return world[:, wcs.wcs.lng].reshape(x.shape), world[:, wcs.wcs.lat].reshape(x.shape)


class ParentGrid:
    """
    Stamps that keep the pixels of the images they were cut from.

    Parameters
    ----------
    parents : sequence of `~astropy.wcs.WCS`
        The images' WCS.
    index : ndarray of int, shape (n, c)
        Which parent a stamp and band belong to; -1: none.
    origins : ndarray of int, shape (n, c, 2)
        x and y in the parent of the stamp's first pixel.
    centre : tuple of float
        x and y of the stamp's middle, in its own pixels.
    """

    def __init__(
        self, parents: Sequence[WCS], index: NDArray, origins: NDArray, centre: tuple[float, float]
    ) -> None:
        self.parents = tuple(parents)
        self.index = index
        self.origins = origins
        self.centre = centre

    def __getitem__(self, rows: Any) -> "ParentGrid":
        return ParentGrid(self.parents, self.index[rows], self.origins[rows], self.centre)

    def wcs(self, row: int, band: int) -> WCS | None:
        """The WCS of one stamp in one band; None where the position was invalid."""
        number = self.index[row, band]
        return None if number < 0 else shifted(self.parents[number], *self.origins[row, band])

    @cached_property
    def pixel_scale(self) -> NDArray[np.float64]:
        """Mean pixel scale in degrees at the stamps' middle in the first band, shape (n,)."""
        scale = np.full(len(self.index), np.nan)
        middle = self.origins[:, 0] + np.array(self.centre)
        for number, parent in enumerate(self.parents):
            rows = self.index[:, 0] == number
            scale[rows] = mean_scale(
                local_jacobian(partial(pixel_to_lonlat, parent), *middle[rows].T)
            )
        return scale

    def columns(self) -> dict[str, NDArray]:
        """What differs by row, by column name."""
        # Names made of the content: rows of another image can then not be taken for ours.
        names = np.array([*(_name(_to_cards(wcs)) for wcs in self.parents), -1])
        return {"wcs_parent": names[self.index], "wcs_origin": self.origins}

    def header(self) -> dict[str, Any]:
        """What is common to all rows, in JSON types."""
        if any(table is not None for wcs in self.parents for table in _lookup_tables(wcs)):
            raise ValueError(
                "the WCS has distortion lookup tables, which a table cannot hold: convert it to "
                "SIP or resample the cutouts with pixel_scale="
            )
        return {"parents": [_to_cards(wcs) for wcs in self.parents], "centre": list(self.centre)}

    @classmethod
    def from_columns(cls, columns: dict[str, NDArray], header: dict[str, Any]) -> "ParentGrid":
        """The inverse of ``columns`` and ``header``."""
        names = columns["wcs_parent"]
        index = np.full(names.shape, -1, dtype=np.int32)
        for number, cards in enumerate(header["parents"]):
            index[names == _name(cards)] = number
        if (index[names >= 0] < 0).any():
            raise ValueError(
                "some rows come from an image whose WCS the table does not know: join cutouts of "
                "several images with Cutouts.concatenate, not as tables"
            )
        parents = [_from_cards(cards) for cards in header["parents"]]
        return cls(parents, index, columns["wcs_origin"], tuple(header["centre"]))

    @classmethod
    def concatenate(cls, grids: Sequence["ParentGrid"]) -> "ParentGrid":
        """All rows of several grids."""
        parents: list[WCS] = []
        index = []
        for grid in grids:
            # Chunks of one image share their parents and must not multiply them.
            places = []
            for wcs in grid.parents:
                known = [i for i, other in enumerate(parents) if other is wcs]
                places.append(known[0] if known else len(parents))
                if not known:
                    parents.append(wcs)
            # The last place is that of index -1.
            index.append(np.array([*places, -1], dtype=np.int32)[grid.index])
        origins = np.concatenate([grid.origins for grid in grids])
        return cls(parents, np.concatenate(index), origins, grids[0].centre)


class TangentGrid:
    """
    Stamps resampled to a tangent plane centred on their source.

    Parameters
    ----------
    crval : ndarray, shape (n, 2)
        Longitude and latitude of the sources in degrees.
    cd : ndarray, shape (n, 2, 2)
        Degrees on the sky by pixel.
    shape : tuple of int
        (ny, nx) of a stamp.
    frame : dict
        ``RADESYS`` and ``EQUINOX`` of the coordinates.
    """

    def __init__(
        self, crval: NDArray, cd: NDArray, shape: tuple[int, int], frame: dict[str, Any]
    ) -> None:
        self.crval = crval
        self.cd = cd
        self.shape = shape
        self.frame = frame

    def __getitem__(self, rows: Any) -> "TangentGrid":
        return TangentGrid(self.crval[rows], self.cd[rows], self.shape, self.frame)

    def wcs(self, row: int, band: int) -> WCS | None:  # noqa: ARG002
        """The WCS of one stamp, the same in all bands; None where the row was invalid."""
        if not (np.isfinite(self.crval[row]).all() and np.isfinite(self.cd[row]).all()):
            return None
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = self.crval[row]
        wcs.wcs.crpix = [(n + 1) / 2 for n in self.shape[::-1]]
        wcs.wcs.cd = self.cd[row]
        wcs.wcs.radesys = self.frame.get("RADESYS", "ICRS")
        if "EQUINOX" in self.frame:
            wcs.wcs.equinox = self.frame["EQUINOX"]
        wcs.wcs.set()
        wcs.array_shape = self.shape
        return wcs

    @property
    def pixel_scale(self) -> NDArray[np.float64]:
        """Pixel scale in degrees, shape (n,)."""
        return mean_scale(self.cd)

    def columns(self) -> dict[str, NDArray]:
        """What differs by row, by column name."""
        return {"wcs_crval": self.crval, "wcs_cd": self.cd}

    def header(self) -> dict[str, Any]:
        """What is common to all rows, in JSON types."""
        return {"frame": self.frame, "shape": list(self.shape)}

    @classmethod
    def from_columns(cls, columns: dict[str, NDArray], header: dict[str, Any]) -> "TangentGrid":
        """The inverse of ``columns`` and ``header``."""
        shape = tuple(header["shape"])
        return cls(columns["wcs_crval"], columns["wcs_cd"], shape, header["frame"])

    @classmethod
    def concatenate(cls, grids: Sequence["TangentGrid"]) -> "TangentGrid":
        """All rows of several grids."""
        if any(grid.frame != grids[0].frame for grid in grids):
            raise ValueError("cutouts resampled in different coordinate frames cannot be joined")
        crval, cd = (np.concatenate([getattr(g, name) for g in grids]) for name in ("crval", "cd"))
        return cls(crval, cd, grids[0].shape, grids[0].frame)


def local_jacobian(
    to_lonlat: Callable[[NDArray, NDArray], tuple[NDArray, NDArray]], x: NDArray, y: NDArray
) -> NDArray[np.float64]:
    """
    Degrees east and north by pixel in x and y, at each position.

    Returns
    -------
    jacobian : ndarray, shape (n, 2, 2)
        NaN where the position is not on the sky.
    """
    step = 0.5
    xs = np.stack([x - step, x + step, x, x])
    ys = np.stack([y, y, y - step, y + step])
    lon, lat = to_lonlat(xs, ys)
    lon0, lat0 = to_lonlat(x, y)
    # Gnomonic offsets from the position itself: right at the poles too.
    dlon, lat, lat0 = np.radians(lon - lon0), np.radians(lat), np.radians(lat0)
    cosine = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(dlon)
    east = np.cos(lat) * np.sin(dlon) / cosine
    north = (np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(dlon)) / cosine
    rows = [[v[1] - v[0], v[3] - v[2]] for v in (east, north)]
    return np.degrees(np.moveaxis(np.array(rows), -1, 0)) / (2 * step)


def mean_scale(jacobian: NDArray) -> NDArray[np.float64]:
    """Side of the square of a pixel's area; numpy's determinant would warn of a NaN."""
    (a, b), (c, d) = np.moveaxis(jacobian, 0, -1)
    return np.sqrt(np.abs(a * d - b * c))


def shifted(parent: WCS, x0: int, y0: int) -> WCS:
    """The WCS of the part of an image that begins at pixel (x0, y0), inside it or not."""
    wcs = parent.deepcopy()
    shift = np.array([x0, y0], dtype=float)
    wcs.wcs.crpix = wcs.wcs.crpix - shift
    if wcs.sip is not None:
        sip = wcs.sip
        wcs.sip = Sip(sip.a, sip.b, sip.ap, sip.bp, sip.crpix - shift)
    for table in _lookup_tables(wcs):
        if table is not None:
            table.crval = tuple(np.array(table.crval) - shift)
    wcs.wcs.set()
    # The bounds and the shape were the parent's.
    wcs.pixel_bounds = None
    wcs.pixel_shape = None
    return wcs


def _lookup_tables(wcs: WCS) -> tuple[Any, ...]:
    return wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2


def _to_cards(wcs: WCS) -> dict[str, Any]:
    header = wcs.to_header(relax=True)
    cards = {key: value for key, value in header.items() if key not in ("COMMENT", "HISTORY", "")}
    # to_header rounds; what places the pixels is kept to the last digit.
    for i in range(wcs.naxis):
        cards[f"CRPIX{i + 1}"] = float(wcs.wcs.crpix[i])
        cards[f"CRVAL{i + 1}"] = float(wcs.wcs.crval[i])
        cards[f"CDELT{i + 1}"] = float(wcs.wcs.get_cdelt()[i])
        for j in range(wcs.naxis):
            cards[f"PC{i + 1}_{j + 1}"] = float(wcs.wcs.get_pc()[i, j])
    if wcs.pixel_shape is not None:
        cards["SHAPE"] = [int(n) for n in wcs.pixel_shape]
    return cards


def _name(cards: dict[str, Any]) -> int:
    return crc32(json.dumps(cards, sort_keys=True).encode())


def _from_cards(cards: dict[str, Any]) -> WCS:
    cards = dict(cards)
    shape = cards.pop("SHAPE", None)
    wcs = quiet_wcs(fits.Header(cards))
    wcs.pixel_shape = shape
    return wcs
