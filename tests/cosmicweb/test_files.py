"""Maps in files: the same again, whole or not at all."""

import sys

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.cosmology import WMAP9, FlatLambdaCDM, Planck18
from astropy.io import fits
from astropy.wcs import WCS
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import load_model
from astrodlkit.cosmicweb import _emulator, read_density_maps
from astrodlkit.exceptions import MissingDependencyError

WRITES = """
from astrodlkit import load_model
from astrodlkit.cosmicweb import _emulator

_emulator._PIXELS = 2 * 16 * 16
emulator = load_model({!r}, device="cpu")

def write(path):
    emulator.stream(path, 24, shape=(16, 16), rng=3, progress=False)
"""

OPTIONS = {"shape": (16, 32), "rng": 3, "redshift": 0.5}
every_format = pytest.mark.parametrize("name", ["maps.fits", "maps.h5", "maps.hdf5", "maps.zarr"])


@pytest.fixture(scope="module")
def emulator(folder):
    return load_model(folder, device="cpu")


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Two maps at a time."""
    monkeypatch.setattr(_emulator, "_PIXELS", 2 * 16 * 32)


@every_format
def test_round_trip(emulator, tmp_path, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    wanted = emulator.sample(5, unit="Msun / Mpc2", **OPTIONS)
    path = emulator.stream(tmp_path / name, 5, unit="Msun / Mpc2", **OPTIONS)
    assert path == tmp_path / name
    maps = read_density_maps(path)
    assert_array_equal(maps.data, wanted.data)
    assert maps.data.dtype == np.dtype("f4")
    assert maps.unit == wanted.unit
    assert maps.wcs.wcs.compare(wanted.wcs.wcs)
    assert maps.meta.pop("cosmology") == Planck18
    box_size = maps.meta.pop("box_size")
    assert (box_size == wanted.meta["box_size"]).all()
    assert maps.meta == {key: wanted.meta[key] for key in maps.meta}
    part = read_density_maps(str(path), 2, 4)
    assert_array_equal(part.data, wanted.data[2:4])
    assert_allclose(part.wcs.pixel_to_world_values(0, 0, 0), (1, 1, 2))
    assert [each.name for each in tmp_path.iterdir()] == [name]


@every_format
def test_whole_or_not_at_all(emulator, tmp_path, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")

    def stop(done, _):
        if done > 2:
            raise KeyboardInterrupt

    path = tmp_path / name
    with pytest.raises(KeyboardInterrupt):
        emulator.stream(path, 5, progress=stop, **OPTIONS)
    assert not path.exists()
    with pytest.raises(ValueError, match=r"another run was not finished.* n: 5 there, 2 now"):
        emulator.stream(path, 2, **OPTIONS)
    emulator.stream(path, 2, overwrite=True, **OPTIONS)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with pytest.raises(FileExistsError, match="pass overwrite=True to replace it"):
        emulator.stream(path, 3, **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        emulator.stream(path, 5, progress=stop, overwrite=True, **OPTIONS)
    assert len(read_density_maps(path).data) == 2
    emulator.stream(path, 3, overwrite=True, **OPTIONS)
    assert len(read_density_maps(path).data) == 3
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.slow
@every_format
def test_killed_it_goes_on(folder, kill_and_go_on, name):
    """However often it is killed, the file is the same to the last byte."""
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    path = kill_and_go_on(WRITES.format(str(folder)), name, (0, 2, 12))
    assert len(read_density_maps(path).data) == 24


@pytest.mark.parametrize("name", ["maps.fits", "maps.h5", "maps.zarr"])
def test_full_disk(emulator, full_disk, name):
    """What is there stays, and the same call goes on when there is room."""
    if name.endswith("zarr"):
        pytest.importorskip("zarr")

    def write(path, n, **options):
        return emulator.stream(path, n, **OPTIONS, **options)

    full_disk(write, name, 30)


def test_the_same_call_goes_on(emulator, tmp_path, monkeypatch):
    path, steps = tmp_path / "maps.h5", []

    def stop(done, _):
        if done > 2:
            raise KeyboardInterrupt

    options = {**OPTIONS, "rng": None}
    with pytest.raises(KeyboardInterrupt):
        emulator.stream(path, 7, progress=stop, **options)
    for wrong, match in (
        ({"redshift": 0.6}, "redshift: 0.5 there, 0.6 now"),
        ({"cosmology": WMAP9}, "cosmology"),
        ({"rng": 5}, "seed: .* there, 5 now"),
        ({"unit": "Msun / Mpc2"}, "unit: '' there, 'solMass / Mpc2' now"),
        ({"shape": (32, 32)}, "shape.0|shape: "),
    ):
        with pytest.raises(ValueError, match=match):
            emulator.stream(path, 7, **{**options, **wrong})
    emulator.stream(path, 7, progress=lambda *step: steps.append(step), **options)
    assert steps == [(4, 7), (6, 7), (7, 7)]
    maps = read_density_maps(path)
    wanted = emulator.sample(7, **{**options, "rng": maps.meta["seed"]})
    assert_array_equal(maps.data, wanted.data)
    # What is finished is not made again.
    monkeypatch.setattr(_emulator, "writer", None)
    assert emulator.stream(path, 7, **{**options, "rng": maps.meta["seed"]}) == path
    with pytest.raises(FileExistsError):
        emulator.stream(path, 7, **{**options, "rng": 3})


def test_what_is_left_when_it_is_killed_last(emulator, tmp_path):
    """Between the last map and the end."""
    path = tmp_path / "maps.fits"

    def stop(done, n):
        if done == n:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emulator.stream(path, 4, progress=stop, **OPTIONS)
    part = tmp_path / "maps.fits.partial"
    assert sorted(each.name for each in part.iterdir()) == ["_manifest.json", "done", "maps.fits"]
    (part / "maps.fits").rename(path)
    # The same call takes away what is left.
    assert emulator.stream(path, 4, **OPTIONS) == path
    assert list(tmp_path.iterdir()) == [path]
    assert emulator.stream(path, 4, overwrite=True, **OPTIONS) == path
    assert_array_equal(read_density_maps(path).data, emulator.sample(4, **OPTIONS).data)


def test_what_fails_at_once_leaves_nothing(emulator, tmp_path):
    def fail(*_):
        raise KeyboardInterrupt

    emulator.module.register_forward_hook(fail)
    try:
        with pytest.raises(KeyboardInterrupt):
            emulator.stream(tmp_path / "maps.h5", 4, **OPTIONS)
    finally:
        emulator.module._forward_hooks.clear()
    assert list(tmp_path.iterdir()) == []


def test_what_others_read(emulator, tmp_path):
    cosmology = FlatLambdaCDM(68, 0.3, name="mine", meta={"sigma8": 0.9})
    with fits.open(emulator.stream(tmp_path / "a.fits", 3, **OPTIONS)) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        assert hdus[0].data.shape == (3, 16, 32)
    assert (header["COSMO"], header["REDSHIFT"], header["SEED"]) == ("Planck18", 0.5, 3)
    assert_allclose(WCS(header).pixel_to_world_values(31, 15, 2), (63, 31, 2))
    with h5py.File(emulator.stream(tmp_path / "a.h5", 3, cosmology=cosmology, **OPTIONS)) as file:
        assert file["maps"].shape == (3, 16, 32)
        assert file["maps"].attrs["unit"] == ""
    found = read_density_maps(tmp_path / "a.h5").meta["cosmology"]
    assert found == cosmology
    assert found.meta["sigma8"] == 0.9


@pytest.mark.filterwarnings("ignore:outside the domain")
def test_flags_are_kept(emulator, tmp_path):
    path = emulator.stream(tmp_path / "a.fits", 1, **{**OPTIONS, "redshift": 4})
    assert list(read_density_maps(path).meta["flags"]) == ["redshift"]
    assert "redshift is 4" in str(fits.getheader(path)["COMMENT"])


def test_wrong_paths(emulator, tmp_path):
    with pytest.raises(TypeError, match="path must be a str or path-like, got 3"):
        emulator.stream(3, 1)
    with pytest.raises(ValueError, match=r"path must end in one of .fits, .h5, .hdf5, .zarr, got"):
        emulator.stream(tmp_path / "maps.png", 1)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        emulator.stream(tmp_path / "no" / "maps.fits", 1)
    with pytest.raises(ValueError, match="n must be 1 or more: a file of no map says nothing"):
        emulator.stream(tmp_path / "maps.fits", 0)
    (tmp_path / "maps.fits").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder that is not of Zarr"):
        emulator.stream(tmp_path / "maps.fits", 1, overwrite=True)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_density_maps(tmp_path / "none.fits")
    with pytest.raises(ValueError, match="path must end in one of"):
        read_density_maps(tmp_path / "none.png")
    with pytest.raises(TypeError, match="path must be a str or path-like"):
        read_density_maps(None)


def test_foreign_files(tmp_path):
    fits.writeto(tmp_path / "a.fits", np.zeros((3, 16, 16), "f4"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["other"] = 1
    for name in ("a.fits", "a.h5"):
        with pytest.raises(ValueError, match=r"does not hold maps that DensityMapEmulator.stream"):
            read_density_maps(tmp_path / name)


@pytest.mark.parametrize(("package", "extra"), [("h5py", "hdf5"), ("zarr", "zarr")])
def test_a_missing_package_is_told_before_the_work(emulator, tmp_path, monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"{package} is needed .*astrodlkit\[{extra}\]"
    with pytest.raises(MissingDependencyError, match=message):
        emulator.stream(tmp_path / f"a.{extra}", 1, **OPTIONS)


class Mine(FlatLambdaCDM):
    """A cosmology that astropy does not know."""


def test_a_cosmology_of_the_users(emulator, tmp_path):
    class Gone(Mine):
        """As if it were defined in another script."""

    options = {**OPTIONS, "sigma8": 0.8, "overwrite": True}
    path = emulator.stream(tmp_path / "a.fits", 1, cosmology=Mine(67.66, 0.3), **options)
    assert read_density_maps(path).meta["cosmology"] == Mine(67.66, 0.3)
    emulator.stream(path, 1, cosmology=Gone(67.66, 0.3), **options)
    with pytest.raises(ValueError, match="the cosmology is of the class 'Gone': import it before"):
        read_density_maps(path)


def test_lengths_are_lengths(emulator, tmp_path):
    path = emulator.stream(tmp_path / "a.fits", 1, box_size=(32e3, 64e3) * u.kpc, **OPTIONS)
    assert (read_density_maps(path).meta["box_size"] == (32, 64) * u.Mpc).all()
