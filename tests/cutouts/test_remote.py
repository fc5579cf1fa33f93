"""Tiles at URLs: the same stamps as out of local files, and no more fetched than they need."""

import bz2
import gzip
import io
import lzma

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag, extract_cutouts
from astrodlkit.cutouts import TileIndex, index_images
from astrodlkit.exceptions import AstrodlkitWarning

fsspec = pytest.importorskip("fsspec")

SHAPE = (120, 100)
MIB = 1 << 20


class CountedFile(fsspec.spec.AbstractBufferedFile):
    """A file of a system that counts."""

    def _fetch_range(self, start, end):
        if Counted.failure is not None:
            raise Counted.failure
        Counted.fetched += end - start
        return Counted.files[self.path][start:end]


class Counted(fsspec.AbstractFileSystem):
    """Files whose bytes are counted when they are read; or none, when the network is down."""

    protocol = "counted"
    files, fetched, failure = {}, 0, None

    def info(self, path, **_):
        path = self._strip_protocol(path)
        if path not in self.files:
            raise FileNotFoundError(path) from self.failure
        return {"name": path, "size": len(self.files[path]), "type": "file"}

    def _open(self, path, mode="rb", **options):
        return CountedFile(self, path, mode, **options)


@pytest.fixture
def counted():
    fsspec.register_implementation("counted", Counted, clobber=True)
    Counted.files, Counted.fetched, Counted.failure = {}, 0, None
    return Counted


@pytest.fixture
def wcs(make_wcs):
    return make_wcs(shape=SHAPE)


@pytest.fixture
def pixels():
    return np.random.default_rng(1).normal(size=SHAPE).astype("f4")


@pytest.fixture
def coords(wcs):
    x, y = np.random.default_rng(2).uniform(10, 90, (2, 12))
    return wcs.pixel_to_world(x, y)


def both(path, coords, **options):
    """The stamps of a file, and those of its URL."""
    found = []
    for name in (str(path), f"file://{path}"):
        tiles = TileIndex(index_images([name]))
        found.append(tiles.extract(coords, 8, **options))
        found.append(tiles.extract(coords, 3 * u.arcsec, shape=10, **options))
    return found[::2], found[1::2]


def check_same(path, coords, **options):
    for local, remote in both(path, coords, **options):
        assert_array_equal(remote.data, local.data)
        assert_array_equal(remote.mask, local.mask)
        assert remote.flags.tolist() == local.flags.tolist()
        assert remote.unit == local.unit
        assert (remote.variance is None) == (local.variance is None)
        if local.variance is not None:
            assert_array_equal(remote.variance, local.variance)
    return remote


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_packed(pixels, wcs, coords, tmp_path, module):
    path = tmp_path / "a.fits"
    fits.writeto(path, pixels, wcs.to_header())
    packed = tmp_path / f"a.fits.{module.__name__}"
    packed.write_bytes(module.compress(path.read_bytes()))
    found = check_same(packed, coords)
    assert (found.flags == Flag.RESAMPLED).all()
    stored = fits.PrimaryHDU((pixels * 100).astype("i2"), wcs.to_header())
    stored.header["BSCALE"], stored.header["BZERO"], stored.header["BLANK"] = 0.5, 3.0, 7
    stored.writeto(path, overwrite=True)
    packed.write_bytes(module.compress(path.read_bytes()))
    check_same(packed, coords)


@pytest.mark.parametrize("kind", ["GZIP_1", "RICE_1", "HCOMPRESS_1"])
def test_tile_compressed(pixels, wcs, coords, tmp_path, kind):
    path = tmp_path / "a.fits.fz"
    fits.CompImageHDU((pixels * 100).astype("i4"), wcs.to_header(), compression_type=kind).writeto(
        path
    )
    check_same(path, coords)


@pytest.mark.parametrize("extra", [(1,), (1, 1)])
def test_axes_of_one(pixels, wcs, coords, tmp_path, extra):
    """As images of radio telescopes have them, for frequency and polarisation."""
    path = tmp_path / "a.fits"
    fits.writeto(path, pixels.reshape(*extra, *SHAPE), wcs.to_header())
    check_same(path, coords)


@pytest.mark.parametrize("remote", [False, True])
def test_cube(pixels, wcs, coords, tmp_path, remote):
    fits.writeto(tmp_path / "cube.fits", np.stack([pixels, pixels]), wcs.to_header())
    fits.writeto(tmp_path / "good.fits", pixels, wcs.to_header())
    prefix = "file://" if remote else ""
    index = index_images([f"{prefix}{tmp_path}/{name}.fits" for name in ("cube", "good")])
    with pytest.warns(AstrodlkitWarning, match=r"cube\.fits: an image of an index has two axes"):
        found = TileIndex(index).extract(coords, 8)
    assert (found.flags & Flag.UNREADABLE != 0).all()


@pytest.mark.parametrize("kind", ["std", "var", "ivar"])
def test_mask_and_uncertainty(pixels, wcs, coords, tmp_path, kind):
    path = tmp_path / "a.fits"
    mask = np.random.default_rng(3).random(SHAPE) < 0.02
    error = StdDevUncertainty(np.abs(pixels) + 1)
    CCDData(pixels, unit="nJy", wcs=wcs, mask=mask, uncertainty=error).write(path)
    with fits.open(path, "update") as hdus:
        hdus["UNCERT"].header["UTYPE"] = kind
        if kind == "var":
            hdus["UNCERT"].header["BUNIT"] = "uJy2"
    found = check_same(path, coords)
    assert found.variance is not None
    assert found.mask.any()
    assert not found.mask.all()


def test_uncertainty_of_unsigned_integers(wcs, coords, tmp_path):
    path = tmp_path / "a.fits"
    counts = np.random.default_rng(3).integers(1, 60000, SHAPE).astype(np.uint16)
    error = StdDevUncertainty(counts // 100 + 1)
    CCDData(counts, unit="nJy", wcs=wcs, uncertainty=error).write(path)
    assert check_same(path, coords).variance.max() <= 601**2


def test_what_is_no_mask(pixels, wcs, coords, tmp_path):
    path = tmp_path / "a.fits"
    hdus = [fits.PrimaryHDU(pixels, wcs.to_header()), fits.ImageHDU(pixels, name="MASK")]
    fits.HDUList(hdus).writeto(path)
    with pytest.warns(AstrodlkitWarning, match="MASK is not true or false"):
        found = check_same(path, coords)
    assert not found.mask.any()
    # Nor is a table.
    hdus[1] = fits.BinTableHDU.from_columns([], name="MASK")
    fits.HDUList(hdus).writeto(path, overwrite=True)
    assert not check_same(path, coords).mask.any()


def test_unknown_uncertainty_is_refused(pixels, wcs, coords, tmp_path):
    hdus = [fits.PrimaryHDU(pixels, wcs.to_header()), fits.ImageHDU(pixels, name="UNCERT")]
    hdus[1].header["UTYPE"] = "unknown"
    fits.HDUList(hdus).writeto(tmp_path / "bad.fits")
    fits.writeto(tmp_path / "good.fits", pixels, wcs.to_header())
    index = index_images([f"file://{tmp_path}/{name}.fits" for name in ("bad", "good")])
    with pytest.warns(AstrodlkitWarning, match=r"bad\.fits: the uncertainty .* unknown kind"):
        found = TileIndex(index).extract(coords, 8)
    assert (found.flags & Flag.UNREADABLE != 0).all()


def test_no_more_is_fetched_than_the_stamps_need(make_wcs, counted):
    """Pieces of a MiB, each once."""
    shape = (2048, 4096)
    wcs = make_wcs(shape=shape)
    noise = np.random.default_rng(1).normal(size=shape).astype("f4")
    content = io.BytesIO()
    fits.PrimaryHDU(noise, wcs.to_header()).writeto(content)
    counted.files["survey/a.fits"] = content.getvalue()
    index = index_images(["counted://survey/a.fits"])
    assert counted.fetched <= MIB
    # A hundred rows of 16 KiB.
    rng = np.random.default_rng(2)
    x, y = rng.uniform(50, 4000, 200), rng.uniform(1000, 1100, 200)
    counted.fetched = 0
    found = TileIndex(index).extract(wcs.pixel_to_world(x, y), 32)
    assert (found.flags == 0).all()
    assert counted.fetched <= 5 * MIB
    i, j = np.ceil(y[7] - 16).astype(int), np.ceil(x[7] - 16).astype(int)
    assert_allclose(found.data[7, 0], noise[i : i + 32, j : j + 32])
    # Sources that lie everywhere need everything, but not more.
    y = rng.uniform(50, 2000, 200)
    counted.fetched = 0
    TileIndex(index).extract(wcs.pixel_to_world(x, y), 32)
    assert counted.fetched <= 34 * MIB
    counted.fetched = 0
    TileIndex(index).extract(wcs.pixel_to_world(x, y), 32, pixel_scale=0.4 * u.arcsec)
    assert counted.fetched <= 34 * MIB


@pytest.mark.parametrize(
    "failure", [ConnectionError("down"), RuntimeError("500"), OSError(5, "io")]
)
@pytest.mark.parametrize("when", ["opened", "read"])
def test_a_network_that_is_down_is_no_bad_tile(make_wcs, counted, tmp_path, failure, when):
    shape = (1200, 1200)
    wcs, path = make_wcs(shape=shape), tmp_path / "a.fits.fz"
    noise = np.random.default_rng(1).integers(-(2**30), 2**30, shape, dtype="i4")
    fits.CompImageHDU(noise, wcs.to_header(), compression_type="GZIP_1").writeto(path)
    counted.files["a.fits.fz"] = path.read_bytes()
    tiles = TileIndex(index_images(["counted://a.fits.fz"]))
    coords = wcs.pixel_to_world([100.0, 1100.0], [100.0, 1100.0])
    if when == "read":
        assert (tiles.extract(coords[:1], 8).flags == 0).all()
    counted.failure = failure
    with pytest.raises(type(failure)) as caught:
        tiles.extract(coords, 8)
    assert caught.value is failure
    counted.failure = None
    assert (tiles.extract(coords, 8).flags == 0).all()


class AnswerError(Exception):
    """What a web server says."""

    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status = status


@pytest.mark.parametrize(
    ("cause", "stops"),
    [(AnswerError(404), False), (AnswerError(503), True), (OSError(111, "refused"), True)],
)
def test_a_missing_file_or_a_missing_server(wcs, coords, counted, cause, stops):
    """File systems call both a missing file, and say the reason as its cause."""
    content = io.BytesIO()
    fits.PrimaryHDU(np.ones(SHAPE), wcs.to_header()).writeto(content)
    counted.files["a.fits"] = content.getvalue()
    tiles = TileIndex(index_images(["counted://a.fits"]))
    del counted.files["a.fits"]
    counted.failure = cause
    if stops:
        with pytest.raises(FileNotFoundError):
            list(tiles.groups(coords, 8))
    else:
        with pytest.warns(AstrodlkitWarning, match=r"a\.fits"):
            ((_, flag),) = tiles.groups(coords, 8)
        assert flag & Flag.UNREADABLE


def test_an_index_at_a_url(pixels, wcs, coords, tmp_path):
    """Wherever an index is taken; relative paths in it begin where it is."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    CCDData(pixels, unit="nJy", wcs=wcs).write(tmp_path / "a.fits")
    index = index_images([str(tmp_path / "a.fits")])
    wanted = TileIndex(index).extract(coords, 9)
    index["path"] = ["a.fits"]
    index.write(tmp_path / "tiles.parquet")
    found = extract_cutouts(f"file://{tmp_path}/tiles.parquet", coords, 9)
    assert_array_equal(found.data, wanted.data)
    assert (found.flags == 0).all()
