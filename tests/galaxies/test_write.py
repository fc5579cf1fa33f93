"""Stamps in files: the same as in memory, whole or not at all, however often a run is stopped."""

import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from numpy.testing import assert_array_equal

from astrodlkit import Cutouts
from astrodlkit.exceptions import MissingDependencyError
from astrodlkit.galaxies import NoiseModel, _write

pytest.importorskip("galsim")

NAMES = ["stamps.fits", "stamps.h5", "stamps.hdf5", "stamps.zarr"]
every_format = pytest.mark.parametrize("name", NAMES)
N = 50

WRITES = """
import astropy.units as u
from astropy.table import QTable
from astrodlkit import load_model

simulator = load_model({!r}, device="cpu")
table = QTable.read({!r})

def write(path):
    simulator.write(path, table, psf=0.7 * u.arcsec, pixel_scale=0.2 * u.arcsec, shape=16, rng=3,
                    batch_size=4, progress=False)
"""


@pytest.fixture
def catalog():
    rng = np.random.default_rng(0)
    return QTable(
        {
            "mag": rng.uniform(20, 24, N),
            "half_light_radius": rng.uniform(0.3, 1, N) * u.arcsec,
            "class": ["spiral", ""] * (N // 2),
            "position": SkyCoord(rng.uniform(10, 11, N), rng.uniform(-5, -4, N), unit="deg"),
        }
    )


@pytest.fixture
def options(options):
    return options | {
        "shape": 16,
        "bands": ("g", "r"),
        "noise": NoiseModel(background_rms=2 * u.nJy),
        "batch_size": 20,
    }


def in_memory(simulator, table, options):
    return simulator.simulate(
        table, **{name: value for name, value in options.items() if name != "batch_size"}
    )


def same(one, other):
    for name in ("data", "mask", "variance", "flags"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.bands, one.unit) == (other.bands, other.unit)
    if other.positions is None:
        assert one.positions is None
    elif len(other):
        assert (one.positions.separation(other.positions) < 1 * u.uas).all()
        assert one.image(0).wcs.wcs.compare(other.image(0).wcs.wcs)
    about = dict(one.meta["astrodlkit"])
    assert len(about.pop("run")) == 64
    assert about == other.meta["astrodlkit"]


@every_format
def test_round_trip(lively, catalog, options, tmp_path, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    steps = []
    path = tmp_path / name
    found = lively.write(str(path), catalog, progress=lambda *step: steps.append(step), **options)
    assert found == path
    assert steps == [(20, 50), (40, 50), (50, 50)]
    wanted = in_memory(lively, catalog, options)
    same(Cutouts.read(path), wanted)
    for left_out in ("position", "class"):
        catalog.remove_column(left_out)
    plain = {name: value for name, value in options.items() if name != "noise"}
    lively.write(path, catalog[:3], overwrite=True, **plain)
    same(Cutouts.read(path), in_memory(lively, catalog[:3], plain))
    lively.write(path, catalog[:0], overwrite=True, **options)
    assert Cutouts.read(path).shape == (0, 2, 16, 16)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_what_others_read(lively, catalog, options, tmp_path):
    path = lively.write(tmp_path / "stamps.fits", catalog, **options)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert hdus[1].data["cutout"].shape == (N, 2, 16, 16)
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(lively.write(tmp_path / "stamps.zarr", catalog, **options), mode="r")
    assert group["cutout"].shape == (N, 2, 16, 16)
    assert group["cutout"].chunks == (20, 2, 16, 16)


@pytest.mark.slow
@every_format
def test_killed_it_goes_on(folder, catalog, tmp_path, kill_and_go_on, name):
    """However often it is killed, the file is the same to the last byte."""
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    table = tmp_path / "catalog.ecsv"
    catalog.write(table)
    path = kill_and_go_on(WRITES.format(str(folder), str(table)), name, (0, 4, 24))
    assert len(Cutouts.read(path)) == N


@pytest.mark.parametrize("name", ["stamps.fits", "stamps.h5", "stamps.zarr"])
def test_full_disk(lively, catalog, options, full_disk, name):
    """What is there stays, and the same call goes on when there is room."""
    if name.endswith("zarr"):
        pytest.importorskip("zarr")

    def write(path, n, **more):
        return lively.write(path, catalog[:n], **options, **more)

    full_disk(write, name, N)


@pytest.mark.parametrize("name", ["stamps.fits", "stamps.h5", "stamps.zarr"])
def test_the_same_call_goes_on(lively, catalog, options, tmp_path, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")

    def stop(done, _):
        if done >= 20:
            raise KeyboardInterrupt

    path, steps = tmp_path / name, []
    options["rng"] = None
    with pytest.raises(KeyboardInterrupt):
        lively.write(path, catalog, progress=stop, **options)
    assert [each.name for each in tmp_path.iterdir()] == [f"{name}.partial"]
    other = catalog.copy()
    other["mag"][-1] += 0.1
    for wrong, match in (
        ({"shape": 18}, r"settings.shape: \[16, 16\] there, \[18, 18\] now"),
        ({"psf": 0.8 * u.arcsec}, "settings.psf"),
        ({"psf": None}, "settings.psf"),
        ({"noise": None}, "settings.noise"),
        ({"bands": {"G": "g", "r": "r"}}, "settings.bands"),
        ({"pixel_scale": 0.3 * u.arcsec}, "pixel_scale: 0.2 there, 0.3 now"),
        ({"rng": 5}, "seed: .* there, 5 now"),
        ({"first": 1}, "first: 0 there, 1 now"),
        ({"unit": "uJy"}, "settings.unit: 'nJy' there, 'uJy' now"),
        ({"table": other}, "input.table"),
        ({"table": catalog[:40]}, "rows: 50 there, 40 now"),
    ):
        with pytest.raises(ValueError, match=match):
            lively.write(path, **({"table": catalog} | options | wrong))
    if name.endswith("zarr"):
        with pytest.raises(ValueError, match="chunk: 20 there, 25 now"):
            lively.write(path, catalog, **{**options, "batch_size": 25})
    else:
        options["batch_size"] = 25
    lively.write(path, catalog, progress=lambda *step: steps.append(step), **options)
    assert steps[0] == (20, 50)
    assert steps[1][0] > 20
    assert steps[-1] == (50, 50)
    stamps = Cutouts.read(path)
    options["rng"] = stamps.meta["astrodlkit"]["seed"]
    same(stamps, in_memory(lively, catalog, options))
    # What is finished is not made again.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_write, "draw_rows", None)
        assert lively.write(path, catalog, **options) == path
    for wrong in ({"rng": 3}, {"shape": 18}):
        with pytest.raises(FileExistsError, match="pass overwrite=True to replace it"):
            lively.write(path, catalog, **{**options, **wrong})


@pytest.mark.parametrize("rng", [3, None])
def test_what_is_left_when_it_is_killed_last(lively, catalog, options, tmp_path, rng):
    """With the file in its place, and the folder beside it not yet removed."""
    path, options["rng"] = tmp_path / "stamps.fits", rng

    def stop(done, n):
        if done == n:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lively.write(path, catalog, progress=stop, **options)
    (tmp_path / "stamps.fits.partial" / "stamps.fits").rename(path)
    assert lively.write(path, catalog, **options) == path
    assert list(tmp_path.iterdir()) == [path]
    assert len(Cutouts.read(path)) == len(catalog)


def test_another_model_is_refused(lively, profiles, catalog, options, tmp_path):
    path = tmp_path / "stamps.fits"

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lively.write(path, catalog, progress=stop, **options)
    # Nothing but the weights differs.
    with pytest.raises(ValueError, match=r"which differs in sha256: '[0-9a-f]{64}' there"):
        profiles.write(path, catalog, **options)
    profiles.write(path, catalog, overwrite=True, **options)
    assert [each.name for each in tmp_path.iterdir()] == ["stamps.fits"]


def test_on_an_image(lively, catalog, options, tmp_path):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (10.5, -4.5)
    wcs.wcs.crpix, wcs.wcs.cdelt = (1000, 1000), (-5e-4, 5e-4)
    del options["pixel_scale"]
    options["wcs"] = wcs
    path = lively.write(tmp_path / "stamps.fits", catalog, **options)
    same(Cutouts.read(path), in_memory(lively, catalog, options))
    assert lively.write(path, catalog, **options) == path
    wcs.wcs.crpix = (1000, 1000.5)
    with pytest.raises(FileExistsError):
        lively.write(path, catalog, **options)


def test_wrong_paths(lively, catalog, options, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"path must end in one of .fits, .fit, .h5, .hdf5, .zarr"):
        lively.write(tmp_path / "stamps.png", catalog, **options)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        lively.write(tmp_path / "no" / "stamps.fits", catalog, **options)
    (tmp_path / "stamps.fits").write_text("precious")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        lively.write(tmp_path / "stamps.fits", catalog, **options)
    with pytest.raises(FileNotFoundError, match="no folder"):
        Cutouts.read(tmp_path / "none.zarr")
    for package, extra in (("h5py", "hdf5"), ("zarr", "zarr")):
        monkeypatch.setitem(sys.modules, package, None)
        message = rf"{package} is needed .*astrodlkit\[{extra}\]"
        with pytest.raises(MissingDependencyError, match=message):
            lively.write(tmp_path / f"a.{extra}", catalog, **options)
