"""An index of images: which files there are, and where on the sky each lies."""

import warnings
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io.fits.verify import VerifyWarning
from astropy.table import Column, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs.utils import proj_plane_pixel_area

from .._optional import import_optional
from .._typing import PathLike
from ..exceptions import AstrodlkitWarning
from ._arrays import celestial
from ._fits import is_image, open_fits
from ._footprints import footprint_of
from ._grids import quiet_wcs
from ._remote import is_url, open_remote

__all__ = ["find_fits", "index_images", "read_index"]

_SUFFIXES = (".fits", ".fit", ".fts")
_PACKED = (".fz", ".gz", ".bz2", ".xz")
_COLUMNS = {
    "path": "file or URL",
    "hdu": "number of the HDU",
    "band": "photometric band",
    "s_region": "outline of the image (ObsCore)",
    "pixel_scale": "side of the square with a pixel's area",
}


def find_fits(folder: PathLike) -> list[Path]:
    """
    The FITS files of a folder and those in it, by their names.

    Parameters
    ----------
    folder : path-like
        The folder.

    Returns
    -------
    paths : list of `~pathlib.Path`
        Absolute, sorted.

    Raises
    ------
    NotADirectoryError
        If it is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")
    return sorted(path.absolute() for path in folder.rglob("*") if _is_fits(path.name.lower()))


def _is_fits(name: str) -> bool:
    stem, dot, last = name.rpartition(".")
    return name.endswith(_SUFFIXES) or (dot + last in _PACKED and stem.endswith(_SUFFIXES))


def index_images(
    images: PathLike | Iterable[PathLike],
    *,
    bands: str | Mapping[str, str] = "FILTER",
    hdu: int | str | None = None,
) -> Table:
    """
    Make an index of images, of which only the headers are read.

    Parameters
    ----------
    images : path-like or iterable of path-like
        A folder, with all FITS files below it, compressed ones too; or files
        and URLs that fsspec understands.
    bands : str or dict
        The header keyword that names the band; or a dict from each band to a
        pattern of file names, such as ``{"g": "*-g-*.fits"}``: files that match
        none are left out. Without the keyword in any file, all are of one band,
        ``image``.
    hdu : int or str, optional
        Which HDU of each file: its number; or a pattern of names, such as
        ``"SCI"`` or ``"CCD*"``, of which a file may have several. By default the
        first image.

    Returns
    -------
    index : `~astropy.table.Table`
        A row for each image, in the order of the files: ``path``, ``hdu``,
        ``band``, ``s_region`` (its outline, as ObsCore writes it) and
        ``pixel_scale``.

    Raises
    ------
    ValueError
        If there is no image, or only some have the keyword.
    NotADirectoryError
        If ``images`` is a single path, but not of a folder.

    Warns
    -----
    astrodlkit.exceptions.AstrodlkitWarning
        For each file that is left out as it cannot be read or has no WCS.

    See Also
    --------
    TileIndex : Cuts stamps out of the images.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> from astrodlkit.cutouts import index_images
    >>> header = fits.Header({
    ...     "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0,
    ...     "CRPIX1": 50.5, "CRPIX2": 50.5, "CDELT1": -1e-4, "CDELT2": 1e-4, "FILTER": "r"})
    >>> folder = Path(tempfile.mkdtemp())
    >>> fits.writeto(folder / "a.fits", np.zeros((100, 100), dtype="f4"), header)
    >>> index = index_images(folder)
    >>> print(index["band"][0], index["pixel_scale"][0], index["s_region"][0][:16])
    r 0.36 POLYGON ICRS 150
    """
    if isinstance(bands, str) and not bands:
        raise ValueError("bands must be a header keyword or a dict of patterns, got ''")
    files: Any = find_fits(images) if isinstance(images, str | Path) else images
    rows = []
    for path in map(str, files):
        band = _matched(path, bands) if isinstance(bands, Mapping) else None
        if band is None and isinstance(bands, Mapping):
            continue
        try:
            rows += _rows(path, band, bands, hdu)
        except (OSError, ValueError, TypeError, EOFError) as exc:
            warnings.warn(f"{path} is left out: {exc}", AstrodlkitWarning, stacklevel=2)
    if not rows:
        raise ValueError("images: there is no FITS image with a celestial WCS, and in a band")
    named = [row for row in rows if row["band"]]
    if named and len(named) < len(rows):
        nameless = next(row["path"] for row in rows if not row["band"])
        raise ValueError(
            f"bands: {len(rows) - len(named)} images have no keyword {bands!r}, for example "
            f"{nameless}; give a dict of patterns, such as {{'g': '*-g-*.fits'}}"
        )
    index = Table(
        [
            Column([row[name] for row in rows], name=name, description=text)
            for name, text in _COLUMNS.items()
        ]
    )
    if not named:
        index["band"] = ["image"] * len(index)
    index["pixel_scale"].unit = u.arcsec
    return index


def _matched(path: str, bands: Mapping[str, str]) -> str | None:
    names = [
        band
        for band, pattern in bands.items()
        if fnmatch(path, pattern) or fnmatch(path.rsplit("/", 1)[-1], pattern)
    ]
    if len(names) > 1:
        raise ValueError(f"bands: {path} matches the patterns of {names}")
    return names[0] if names else None


def _rows(path: str, band: str | None, bands: Any, which: Any) -> list[dict[str, Any]]:
    """What is to be said of the images of a file."""
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        # A file that ends too early has a place on the sky all the same.
        warnings.filterwarnings("ignore", ".*truncated.*", AstropyUserWarning)
        warnings.simplefilter("ignore", VerifyWarning)
        hdus = stack.enter_context(open_remote(path) if is_url(path) else open_fits(Path(path)))
        for number, hdu in enumerate(hdus):
            if not is_image(hdu) or not _wanted(hdu, number, which):
                continue
            wcs = celestial(quiet_wcs(hdu.header, hdus), path)
            assert wcs is not None  # noqa: S101
            named = "" if band is not None else hdu.header.get(bands) or hdus[0].header.get(bands)
            rows.append(
                {
                    "path": path,
                    "hdu": number,
                    "band": band or str(named or "").strip(),
                    "s_region": footprint_of(wcs, hdu.shape[-2:]),
                    "pixel_scale": float(np.sqrt(proj_plane_pixel_area(wcs)) * 3600),
                }
            )
            if which is None:
                break
    if not rows:
        raise ValueError("it has no such image")
    return rows


def _wanted(hdu: Any, number: int, which: int | str | None) -> bool:
    if isinstance(which, str):
        return fnmatch(hdu.name.upper(), which.upper())
    return which is None or number == which


def read_index(path: PathLike) -> Table:
    """The table of an index at a path or a URL; relative paths in it begin where it is."""
    place = str(path)
    if Path(place).suffix.lower() == ".parquet":
        import_optional("pyarrow", extra="parquet", purpose="to read Parquet files")
    folder = place.rpartition("/")[0] if is_url(place) else None
    if folder is None:
        table = Table.read(Path(place))
    else:
        fsspec = import_optional("fsspec", extra="remote", purpose="for an index at a URL")
        with fsspec.open(place, "rb") as stream:
            table = Table.read(stream, format="parquet")
    if "path" in table.colnames:
        table["path"] = [_beside(str(each), Path(place), folder) for each in table["path"]]
    return table


def _beside(path: str, index: Path, folder: str | None) -> str:
    if is_url(path) or Path(path).is_absolute():
        return path
    return str(index.parent / path) if folder is None else f"{folder}/{path}"
