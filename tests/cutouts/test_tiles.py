"""An index of images as one source of pixels: the same stamps as out of the whole sky."""

import gzip
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag, extract_cutouts
from astrodlkit.cutouts import TileIndex, find_fits, index_images, iter_cutouts
from astrodlkit.cutouts import _opened as opened
from astrodlkit.cutouts._footprints import Footprints, footprint_of, unit_vectors
from astrodlkit.exceptions import AstrodlkitWarning

SCALE = 1.1e-4
BANDS = ("g", "r", "i")
ORIGINS = {"a": (0, 0), "b": (140, 0), "c": (0, 140), "d": (140, 140)}


def tan(x0=0.0, y0=0.0):
    """A tangent plane whose pixel (150, 150) less the origin is at (150, 2) degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (150.0, 2.0), (-SCALE, SCALE)
    wcs.wcs.crpix = 151 - x0, 151 - y0
    return wcs


@pytest.fixture(scope="module")
def sky():
    """A sky of 300 x 300 pixels in three bands."""
    rng = np.random.default_rng(3)
    return {band: rng.normal(size=(300, 300)).astype("f4") for band in BANDS}


@pytest.fixture
def folder(sky, tmp_path):
    """The same in four tiles of 160 x 160 pixels, which overlap by 20."""
    for name, (x0, y0) in ORIGINS.items():
        for band in BANDS:
            header = tan(x0, y0).to_header()
            header["FILTER"], header["BUNIT"] = band, "nmgy"
            part = sky[band][y0 : y0 + 160, x0 : x0 + 160]
            fits.writeto(tmp_path / f"{name}-{band}.fits", part, header)
    return tmp_path


@pytest.fixture
def places():
    x, y = np.random.default_rng(4).uniform(-20, 320, (2, 400))
    return x, y, tan().pixel_to_world(x, y)


def whole(sky, places, *args, **options):
    data = {band: (sky[band] * 1.0 << u.Unit("nmgy"), tan()) for band in BANDS}
    return extract_cutouts(data, places, *args, **options)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_size_for_each_row_out_of_several_images(sky, folder, n):
    # Two sizes are not (ny, nx) where shape= is given.
    coords = tan().pixel_to_world([60, 240, 240][:n], [60, 60, 240][:n])
    sizes = [10.0, 12.0, 14.0][:n]
    wanted = whole(sky, coords, sizes, shape=16)
    index = index_images(folder)
    for size in (sizes, np.array(sizes), sizes * u.pix):
        found = extract_cutouts(index, coords, size, shape=16, bands=BANDS)
        assert_allclose(found.data, wanted.data, atol=2e-6)
        parts = iter_cutouts(index, coords, size, shape=16, bands=BANDS, chunk=2)
        assert_allclose(np.concatenate([part.data for part in parts]), wanted.data, atol=2e-6)


@pytest.mark.parametrize("size", [(10, 12), np.full(5, 10.0)])
def test_sizes_of_another_number_of_rows(folder, size):
    coords = tan().pixel_to_world([60, 240, 240], [60, 60, 240])
    message = "one for each of the 3 positions"
    with pytest.raises(ValueError, match=message):
        TileIndex(index_images(folder)).extract(coords, size, shape=16, bands=BANDS)
    with pytest.raises(ValueError, match=message):
        list(iter_cutouts(index_images(folder), coords, size, shape=16, bands=BANDS, chunk=2))


def test_index(folder):
    index = index_images(folder)
    assert len(index) == 12
    assert index["path"][0] == str(folder / "a-g.fits")
    assert set(index["band"]) == set(BANDS)
    assert_allclose(index["pixel_scale"], SCALE * 3600, rtol=1e-6)
    assert index["pixel_scale"].unit == u.arcsec
    tiles = TileIndex(index)
    assert set(tiles.bands) == set(BANDS)
    assert_allclose(tiles.pixel_scale.value, SCALE * 3600, rtol=1e-6)
    assert repr(tiles) == "<TileIndex: 12 images, bands g, i, r>"
    # Patterns of names do the same as the keyword.
    named = index_images(folder, bands={band: f"*-{band}.fits" for band in "gr"})
    assert len(named) == 8
    assert set(named["band"]) == {"g", "r"}


def test_native_stamps(sky, folder, places):
    x, y, coords = places
    tiles = TileIndex(index_images(folder))
    found = tiles.extract(coords, 16, bands=BANDS)
    wanted = whole(sky, coords, 16)
    inside = (x > 8) & (y > 8) & (x < 291) & (y < 291)
    # In the overlap of 20 pixels one of the tiles holds a stamp of 16 wholly.
    assert (found.data[inside] == wanted.data[inside]).all()
    assert found.unit == u.Unit("nmgy")
    near = (x > -8) & (y > -8) & (x < 308) & (y < 308)
    assert found.flags[near].tolist() == wanted.flags[near].tolist()
    assert (found.flags[~near] & Flag.NO_OVERLAP == Flag.NO_OVERLAP).all()
    assert found.bands == BANDS
    # A stamp's WCS is that of its own image.
    row = int(np.flatnonzero(inside)[0])
    centre = found.image(row, "r").wcs.pixel_to_world(8, 8)
    assert centre.separation(coords[row]) < 1 * SCALE * u.deg
    assert tiles._opened.opened == 12


def test_resampled_stamps(sky, folder, places):
    x, y, coords = places
    widths = np.linspace(2, 6, len(coords)) * u.arcsec
    found = extract_cutouts(index_images(folder), coords, widths, shape=20, bands=BANDS)
    wanted = whole(sky, coords, widths, shape=20)
    inside = (x > 12) & (y > 12) & (x < 287) & (y < 287)
    assert_allclose(found.data[inside], wanted.data[inside], atol=2e-6)
    assert_allclose(found.pixel_scale.value[inside], wanted.pixel_scale.value[inside])
    chunks = iter_cutouts(index_images(folder), coords, widths, shape=20, bands=BANDS, chunk=150)
    assert [len(chunk) for chunk in chunks] == [150, 150, 100]


def test_tile_that_holds_it_best(folder):
    """In the overlap, x from 140 to 160, the middle is the border."""
    tiles = TileIndex(index_images(folder))
    coords = tan().pixel_to_world([145, 149, 150, 158], [50, 50, 50, 50])
    rows = tiles.locate(coords, ["r"])[:, 0]
    names = [tiles.table["path"][row].rsplit("/", 1)[-1] for row in rows]
    assert names == ["a-r.fits", "a-r.fits", "b-r.fits", "b-r.fits"]
    order = tiles.order(coords[[3, 0, 2, 1]])
    assert order.tolist() == [1, 3, 0, 2]


def test_a_masked_hdu_is_the_first_image(folder):
    table = index_images(folder)
    wanted = TileIndex(table).extract(tan().pixel_to_world([60], [60]), 8)
    table["hdu"] = MaskedColumn(table["hdu"], mask=True)
    found = TileIndex(table).extract(tan().pixel_to_world([60], [60]), 8)
    assert_array_equal(found.data, wanted.data)


def test_ways_to_say_it(folder, tmp_path, places):
    _, _, coords = places
    index = index_images(folder)
    wanted = TileIndex(index).extract(coords[:20], 8).data
    index.write(tmp_path / "tiles.ecsv")
    assert (TileIndex.read(tmp_path / "tiles.ecsv").extract(coords[:20], 8).data == wanted).all()
    index["path"] = [path.rsplit("/", 1)[-1] for path in index["path"]]
    pytest.importorskip("pyarrow")
    index.write(tmp_path / "tiles.parquet")
    # Relative paths begin where the index is.
    assert (extract_cutouts(tmp_path / "tiles.parquet", coords[:20], 8).data == wanted).all()


def test_urls(folder, places):
    pytest.importorskip("fsspec")
    _, _, coords = places
    index = index_images(folder)
    remote = index_images([f"file://{path}" for path in index["path"]])
    assert list(remote["s_region"]) == list(index["s_region"])
    wanted = TileIndex(index).extract(coords[:30], 8)
    found = TileIndex(remote).extract(coords[:30], 8)
    assert (found.data == wanted.data).all()
    assert found.flags.tolist() == wanted.flags.tolist()


def count_ours(caught):
    """Of the warnings; astropy may have its own."""
    return sum(issubclass(warning.category, AstrodlkitWarning) for warning in caught)


@pytest.mark.parametrize("kind", ["half", "header", "missing", "text"])
@pytest.mark.parametrize("remote", [False, True])
def test_bad_tile(folder, places, kind, remote):
    """Its rows get a flag, and those of the other tiles are as before."""
    x, y, coords = places
    index = index_images(folder)
    if remote:
        pytest.importorskip("fsspec")
        index["path"] = [f"file://{path}" for path in index["path"]]
    good = TileIndex(index).extract(coords, 8)
    path = folder / "b-r.fits"
    content = path.read_bytes()
    if kind == "missing":
        path.unlink()
    else:
        path.write_bytes({"half": content[:60000], "header": content[:1000], "text": b"x"}[kind])
    with pytest.warns(AstrodlkitWarning, match="its sources get the flag 'unreadable'") as caught:
        found = TileIndex(index).extract(coords, 8)
    assert count_ours(caught) == 1
    bad = found.flags & Flag.UNREADABLE == Flag.UNREADABLE
    inside = (x > 0) & (y > 0) & (x < 299) & (y < 299)
    assert (bad == (x > 149.5) & (y < 149.5))[inside].all()
    assert found.mask[bad].all()
    assert (found.data[~bad] == good.data[~bad]).all()
    assert (found.flags[~bad] == good.flags[~bad]).all()


def test_the_first_tile_is_bad(folder, places):
    """Stamps without an image are then like those of the second; without any there are none."""
    index = index_images(folder)
    paths = sorted(folder.glob("*-r.fits"))
    paths[0].write_bytes(b"x")
    with pytest.warns(AstrodlkitWarning, match="left out"):
        found = TileIndex(index).extract(places[2], 8)
    assert found.shape == (400, 3, 8, 8)
    assert (found.flags & Flag.UNREADABLE != 0).sum() > 50
    for path in paths:
        path.write_bytes(b"x")
    with (
        pytest.warns(AstrodlkitWarning, match="left out"),
        pytest.raises(OSError, match="none of the 4 images of band 'r' can be read"),
    ):
        TileIndex(index).extract(places[2], 8)


def test_a_disk_that_is_not_there_is_no_bad_tile(folder, places):
    index = index_images(folder)
    index["path"] = [path.replace(str(folder), str(folder / "unmounted")) for path in index["path"]]
    with pytest.raises(FileNotFoundError):
        TileIndex(index).extract(places[2], 8)


def test_index_of_bad_files(folder):
    """A file without a header is named and left out; one without its last pixels is not."""
    for name, length in (("a-g.fits", 1000), ("b-g.fits", 60000)):
        path = folder / name
        path.write_bytes(path.read_bytes()[:length])
    with pytest.warns(AstrodlkitWarning, match=r"a-g\.fits is left out") as caught:
        assert len(index_images(folder)) == 11
    assert count_ours(caught) == 1


def test_packed_files_and_several_hdus(folder, sky, places):
    _, _, coords = places
    wanted = TileIndex(index_images(folder)).extract(coords, 8, bands=["r"])
    for name in ORIGINS:
        path = folder / f"{name}-r.fits"
        path.with_suffix(".fits.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    found = TileIndex(index_images(folder)).extract(coords, 8, bands=["r"])
    assert (found.data == wanted.data).all()
    # All four in one file.
    hdus = [fits.PrimaryHDU()]
    for name in ORIGINS:
        with fits.open(folder / f"{name}-r.fits.gz") as one:
            hdus.append(fits.ImageHDU(one[0].data, one[0].header, name=f"CCD{name}"))
    (folder / "mosaic").mkdir()
    fits.HDUList(hdus).writeto(folder / "mosaic" / "all.fits")
    index = index_images(folder / "mosaic", hdu="ccd*")
    assert index["hdu"].tolist() == [1, 2, 3, 4]
    assert (TileIndex(index).extract(coords, 8).data == wanted.data).all()
    assert len(index_images(folder / "mosaic", hdu=3)) == 1


def test_memory_is_bounded(folder, places, monkeypatch):
    """What had to be unpacked is dropped when there is too much of it."""
    for path in find_fits(folder):
        path.with_suffix(".fits.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    monkeypatch.setattr(opened, "_BYTES", 3 * 160 * 160 * 4)
    tiles = TileIndex(index_images(folder))
    tiles.extract(places[2], 8)
    assert len(tiles._opened._images) == 3
    monkeypatch.setattr(opened, "_BYTES", 1)
    tiles.extract(places[2], 8)
    assert len(tiles._opened._images) == 1


def test_no_image_at_all(folder):
    tiles = TileIndex(index_images(folder))
    found = tiles.extract(SkyCoord([10, np.nan], [-60, 2], unit="deg"), 8)
    assert found.flags[0] & Flag.NO_OVERLAP
    assert found.flags[1] & Flag.INVALID_POSITION
    assert found.mask.all()
    assert len(tiles.extract(SkyCoord([], [], unit="deg"), 8)) == 0
    assert tiles.extract(SkyCoord([], [], unit="deg"), 4 * u.arcsec).shape == (0, 3, 10, 10)


def test_refused(folder, tmp_path):
    index = index_images(folder)
    tiles = TileIndex(index)
    with pytest.raises(ValueError, match=r"bands has \['z'\], but the index of images only"):
        tiles.extract(SkyCoord([150], [2], unit="deg"), 8, bands=["g", "z"])
    with pytest.raises(ValueError, match="positions must be on the sky"):
        tiles.extract({"x": [1.0], "y": [2.0]}, 8)
    for table in (index[:0], index["band", "hdu"]):
        with pytest.raises(ValueError, match="needs one or more rows and the columns 'path'"):
            TileIndex(table)
    for region in ("CIRCLE ICRS 1 2 3", "POLYGON ICRS 1 2 3 4", "POLYGON GALACTIC 1 2 3 4 5 6", ""):
        with pytest.raises(ValueError, match="s_region must be"):
            TileIndex(Table({"path": ["a"], "s_region": [region]}))
    with pytest.raises(NotADirectoryError, match="is no folder"):
        index_images(folder / "a-g.fits")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="there is no FITS image"):
        index_images(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"matches the patterns of \['g', 'all'\]"):
        index_images(folder, bands={"g": "*-g.fits", "all": "*"})
    fits.delval(folder / "a-g.fits", "FILTER")
    with pytest.raises(ValueError, match="1 images have no keyword 'FILTER'"):
        index_images(folder)


def test_footprints_against_brute_force():
    """Squares of very different sizes, anywhere, at the pole too."""
    rng = np.random.default_rng(5)
    regions, sizes = [], [0.02, 0.3, 4.0]
    for k in range(90):
        wcs = tan()
        wcs.wcs.crval = (
            rng.uniform(0, 360),
            (np.degrees(np.arcsin(rng.uniform(-1, 1))), 89.9)[k % 2],
        )
        wcs.wcs.crpix, wcs.wcs.cdelt = (50.5, 50.5), np.array([-1, 1]) * sizes[k % 3] / 100
        regions.append(footprint_of(wcs, (100, 100)))
    shapes = Footprints(regions)
    points = rng.normal(size=(3000, 3)) + np.array([0, 0, 1])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points[:90] = shapes.middle
    away = np.arcsin(np.einsum("kvi,pi->pkv", shapes.sides, points))
    # The middle of a square of 4 degrees is 2 from its sides.
    assert_allclose(np.degrees(away[np.arange(2, 90, 3), np.arange(2, 90, 3)]), 2, rtol=1e-3)
    depth = np.where(away.min(axis=2) > 0, (away**-2.0).sum(axis=2) ** -0.5, -1)
    wanted = np.where(depth.max(axis=1) > 0, depth.argmax(axis=1), -1)
    assert (shapes.deepest(points, np.zeros(3000)) == wanted).all()
    assert len(np.unique(wanted)) > 30
    # Those that lie outside, but within reach.
    # On the other side of the sky the great circles meet again.
    side = points @ shapes.middle.T > 0
    near = ((away.min(axis=2) > -0.01) & side).any(axis=1)
    found = shapes.deepest(points, np.full(3000, 0.01))
    assert ((found >= 0) == near).all()
    assert (found[wanted >= 0] == wanted[wanted >= 0]).all()


def test_frames_and_edges():
    """Outlines are of pixels' edges, and in the ICRS whatever the image is in."""
    galactic = WCS(naxis=2)
    galactic.wcs.ctype = "GLON-TAN", "GLAT-TAN"
    galactic.wcs.crval, galactic.wcs.cdelt, galactic.wcs.crpix = (30, 40), (-0.01, 0.01), (5.5, 5.5)
    shapes = Footprints([footprint_of(galactic, (10, 10))])
    x = np.array([-0.49, 9.49, -0.51, 9.51])
    coords = galactic.pixel_to_world(x, np.full(4, 4.5))
    found = shapes.deepest(unit_vectors(coords), np.zeros(4))
    assert found.tolist() == [0, 0, -1, -1]


def test_no_warnings_of_the_index(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index_images(folder)
