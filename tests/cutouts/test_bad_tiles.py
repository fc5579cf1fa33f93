"""What is wrong with a tile costs its sources a flag, and the run goes on."""

import bz2
import gzip
import lzma

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.testing import assert_allclose

from astrodlkit import Cutouts, Flag
from astrodlkit.cutouts import TileIndex, index_images, iter_cutouts
from astrodlkit.exceptions import AstrodlkitWarning

N = 60
AB = u.zero_point_flux(3631 * u.Jy)


def tan(number=0):
    """The WCS of tiles of 60 x 60 pixels in a row, without a gap."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (150.0, 2.0), (-1e-4, 1e-4)
    wcs.wcs.crpix = 31 - N * number, 31
    return wcs


def pixels(number):
    return np.random.default_rng(number).integers(-(2**20), 2**20, (N, N)).astype("i4")


def write(folder, number, band="r", *, data=None, error=False, **keywords):
    header = tan(number).to_header()
    header["FILTER"] = band
    header.update({name: value for name, value in keywords.items() if value is not None})
    data = pixels(number) if data is None else data
    hdus = fits.HDUList([fits.PrimaryHDU(data, header)])
    if error:
        hdus.append(fits.ImageHDU(np.ones((N, N)), name="UNCERT"))
    path = folder / f"{number}-{band}.fits"
    hdus.writeto(path)
    return path


def every(*numbers):
    y, x = np.meshgrid(np.linspace(6, 53, 6), np.array(numbers) * N + 30.0)
    return tan().pixel_to_world(x.ravel(), y.ravel())


def unreadable(flags):
    return flags & Flag.UNREADABLE != 0


def ours(caught):
    return [str(w.message) for w in caught if issubclass(w.category, AstrodlkitWarning)]


def damage(path, start, stop):
    content = bytearray(path.read_bytes())
    a, b = int(start * len(content)), int(stop * len(content))
    content[a:b] = b"\xa5" * (b - a)
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"])
@pytest.mark.parametrize("remote", [False, True])
def test_damaged_in_the_middle(tmp_path, kind, remote):
    """A local file is left out; of one at a URL, which is read in pieces, the damaged piece."""
    if remote:
        pytest.importorskip("fsspec")
    prefix = "file://" if remote else ""
    paths = []
    for number in range(2):
        path = tmp_path / f"{number}.fits.fz"
        header = tan(number).to_header()
        tile = (N, 6)
        fits.CompImageHDU(
            pixels(number), header, compression_type=kind, tile_shape=tile[::-1]
        ).writeto(path)
        paths.append(f"{prefix}{path}")
    index = index_images(paths)
    places = every(0, 1)
    good = TileIndex(index).extract(places, 8)
    assert not unreadable(good.flags).any()
    damage(tmp_path / "0.fits.fz", 0.75, 0.8)
    with pytest.warns(AstrodlkitWarning, match=r"left out, .* get the flag 'unreadable'") as caught:
        found = TileIndex(index).extract(places, 8)
    (message,) = ours(caught)
    assert "0.fits.fz" in message
    bad = unreadable(found.flags)
    assert bad[:6].any()
    assert not bad[6:].any()
    assert bad[:6].all() == (not remote)
    assert (found.data[~bad] == good.data[~bad]).all()
    assert found.mask[bad].all()
    # It is the same, one by one.
    with pytest.warns(AstrodlkitWarning):
        again = Cutouts.concatenate(list(iter_cutouts(index, places, 8, chunk=1)))
    assert again.flags.tolist() == found.flags.tolist()
    with pytest.warns(AstrodlkitWarning):
        resampled = TileIndex(index).extract(places, 3 * u.arcsec, shape=8)
    assert (unreadable(resampled.flags) == bad).all()


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
@pytest.mark.parametrize("kind", ["short", "damaged"])
@pytest.mark.parametrize("remote", [False, True])
def test_packed_and_bad(tmp_path, module, kind, remote):
    if remote:
        pytest.importorskip("fsspec")
    paths = []
    for number in range(2):
        path = write(tmp_path, number, BUNIT="nmgy")
        packed = path.with_suffix(f".fits.{module.__name__}")
        packed.write_bytes(module.compress(path.read_bytes()))
        paths.append(f"file://{packed}" if remote else str(packed))
    index = index_images(paths)
    content = packed.read_bytes()
    if kind == "short":
        packed.write_bytes(content[: len(content) // 2])
    else:
        damage(packed, 0.4, 0.6)
    with pytest.warns(AstrodlkitWarning, match=r"1-r\.fits") as caught:
        found = TileIndex(index).extract(every(0, 1), 8)
    assert len(ours(caught)) == 1
    assert unreadable(found.flags).tolist() == [False] * 6 + [True] * 6


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
@pytest.mark.parametrize("remote", [False, True])
def test_index_of_packed_and_bad_files(tmp_path, module, remote):
    if remote:
        pytest.importorskip("fsspec")
    path = write(tmp_path, 0)
    packed = path.with_suffix(f".fits.{module.__name__}")
    packed.write_bytes(module.compress(path.read_bytes()))
    packed.write_bytes(packed.read_bytes()[:100])
    names = [str(packed), str(path)]
    with pytest.warns(AstrodlkitWarning, match=f"fits.{module.__name__} is left out"):
        index = index_images([f"file://{name}" for name in names] if remote else names)
    assert len(index) == 1


@pytest.mark.parametrize("unit", ["bogus", None, "K"])
def test_a_band_in_another_unit(tmp_path, unit):
    """Of three bands one has no unit, or one of another kind."""
    for number in range(2):
        for band in "gri":
            odd = number == 1 and band == "g"
            write(tmp_path, number, band, BUNIT=unit if odd else "nmgy")
    tiles = TileIndex(index_images(tmp_path))
    places = every(0, 1)
    with pytest.warns(AstrodlkitWarning, match=r"1-g\.fits") as caught:
        groups = list(tiles.groups(places, 8))
    (message,) = ours(caught)
    assert {"bogus": "BUNIT = 'bogus'", None: "no unit", "K": "its unit is K"}[unit] in message
    assert [isinstance(part, Cutouts) for _, part in groups] == [True, False]
    assert groups[1][1] & Flag.UNREADABLE
    found = tiles.extract(places, 8)
    assert unreadable(found.flags).tolist() == [False] * 6 + [True] * 6
    assert found.unit == u.Unit("nmgy")
    # The other bands can be used.
    assert not unreadable(tiles.extract(places, 8, bands=("r", "i")).flags).any()


@pytest.mark.parametrize("first", ["Jy", "nmgy", None])
def test_tiles_in_several_units(tmp_path, first):
    """What converts is converted; what does not is left out, also if it comes first."""
    units = [first, "nmgy", "Jy", "K"]
    for number, unit in enumerate(units):
        write(tmp_path, number, BUNIT=unit)
    index, places = index_images(tmp_path), every(0, 1, 2, 3)
    with pytest.warns(AstrodlkitWarning) as caught:
        found = TileIndex(index).extract(places, 8)
    assert ["3-r.fits: its unit is K" in message for message in ours(caught)][-1]
    assert len(ours(caught)) == (2 if first is None else 1)
    assert found.unit == u.Unit(first or "nmgy")
    good = [first is not None, True, True, False]
    assert (unreadable(found.flags) == ~np.repeat(good, 6)).all()
    for number in range(4):
        if good[number]:
            values = pixels(number)[2:10, 26:34] * u.Unit(units[number])
            assert_allclose(found.data[6 * number, 0], values.to_value(found.unit, AB), rtol=1e-6)
    # Any part of the sky comes in the same unit.
    with pytest.warns(AstrodlkitWarning):
        parts = list(iter_cutouts(index, places, 8, chunk=6))
    assert {part.unit for part in parts} == {found.unit}
    assert (Cutouts.concatenate(parts).data == found.data).all()


def test_no_units_at_all(tmp_path):
    for number in range(2):
        write(tmp_path, number, BUNIT="bogus")
    with pytest.warns(AstrodlkitWarning, match="not a unit astropy knows") as caught:
        found = TileIndex(index_images(tmp_path)).extract(every(0, 1), 8)
    assert len(ours(caught)) == 2
    assert found.unit is None
    assert not unreadable(found.flags).any()


def test_variance_of_units_that_convert(tmp_path):
    write(tmp_path, 0, BUNIT="nmgy", error=True)
    write(tmp_path, 1, BUNIT="Jy", error=True)
    found = TileIndex(index_images(tmp_path)).extract(every(0, 1), 8)
    factor = u.Jy.to(u.nmgy, equivalencies=AB)
    assert_allclose(found.variance[:6], 1)
    assert_allclose(found.variance[6:], factor**2, rtol=1e-6)


@pytest.mark.parametrize("odd", [False, True])
def test_a_tile_with_or_without_uncertainty(tmp_path, odd):
    for number in range(3):
        write(tmp_path, number, BUNIT="nmgy", error=(number == 1) == odd)
    tiles = TileIndex(index_images(tmp_path))
    with pytest.warns(AstrodlkitWarning, match=r"1-r\.fits: it has .* uncertainty, unlike others"):
        found = tiles.extract(every(0, 1, 2), 8)
    assert unreadable(found.flags).tolist() == [False] * 6 + [True] * 6 + [False] * 6
    assert (found.variance is not None) == (not odd)
