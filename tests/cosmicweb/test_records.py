"""What files say of their maps, and files that are damaged or of something else."""

import shutil
from types import SimpleNamespace

import astropy.cosmology.units as cu
import h5py
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits

from astrodlkit import load_model
from astrodlkit.cosmicweb import _emulator, read_density_maps

OPTIONS = {"shape": (16, 32), "rng": 3, "redshift": 0.5}
every_format = pytest.mark.parametrize("name", ["maps.fits", "maps.h5", "maps.zarr"])


@pytest.fixture(scope="module")
def emulator(folder):
    return load_model(folder, device="cpu")


@every_format
def test_names_in_any_letters(emulator, tmp_path, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    cosmology = FlatLambdaCDM(68, 0.3, name="σ-Kosmos\n", meta={"sigma8": 0.8, "by": "Ängström"})
    path = emulator.stream(tmp_path / name, 1, cosmology=cosmology, **OPTIONS)
    found = read_density_maps(path).meta["cosmology"]
    assert (found, found.name) == (cosmology, "σ-Kosmos\n")
    assert found.meta["by"] == "Ängström"
    if path.suffix == ".fits":
        assert fits.getheader(path)["COSMO"] == "?-Kosmos?"


@every_format
def test_quotes_and_slashes_in_a_cosmology(emulator, tmp_path, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    said = {"sigma8": 0.8, "file": "'/data/cosmo.ini'", "by": "D'Amico ' / others & \\"}
    cosmology = FlatLambdaCDM(68, 0.3, name="mine / 'yours' / \"ours\"", meta=said)
    path = emulator.stream(tmp_path / name, 1, cosmology=cosmology, **OPTIONS)
    found = read_density_maps(path).meta["cosmology"]
    assert (found.name, dict(found.meta)) == (cosmology.name, said)


def test_lists_in_a_cosmology(emulator, tmp_path):
    said = {"sigma8": 0.8, "by": ["Kim", ["Lee"]], "prior": {"n": (0.9, 1)}, "z": 7 * cu.redshift}
    cosmology = FlatLambdaCDM(68, 0.3, meta=said)
    path = emulator.stream(tmp_path / "a.fits", 1, cosmology=cosmology, **OPTIONS)
    assert dict(read_density_maps(path).meta["cosmology"].meta) == said


def test_what_cannot_be_written_of_a_cosmology(emulator, tmp_path):
    cosmology = FlatLambdaCDM(68, 0.3, meta={"sigma8": 0.8, "by": object()})
    message = r"cosmology cannot be written: its meta\['by'\] is <object .*>, which no file holds"
    with pytest.raises(ValueError, match=message):
        emulator.stream(tmp_path / "a.fits", 1, cosmology=cosmology, **OPTIONS)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def path(emulator, tmp_path, name):
    """A file of five maps."""
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    return emulator.stream(tmp_path / name, 5, **OPTIONS)


@every_format
@pytest.mark.parametrize(("start", "stop", "n"), [(50, 10, 0), (3, 3, 0), (4, 2, 0), (-2, None, 2)])
def test_any_range(path, start, stop, n):
    maps = read_density_maps(path, start, stop)
    assert maps.data.shape == (n, 16, 32)
    assert maps.data.dtype == np.float32


@pytest.mark.parametrize("name", ["maps.fits"])
def test_ranges_that_mean_nothing(path):
    for wrong in (1.5, "a", True, [1]):
        with pytest.raises(TypeError, match="start must be a whole number, got"):
            read_density_maps(path, wrong)
        with pytest.raises(TypeError, match="stop must be a whole number, got"):
            read_density_maps(path, 0, wrong)
    assert len(read_density_maps(path, np.int64(2), np.uint8(4)).data) == 2


@pytest.mark.parametrize("name", ["maps.fits", "maps.h5"])
@pytest.mark.parametrize("size", [0, 100, 6000, -1000])
def test_truncated_files(emulator, path, size):
    whole = path.read_bytes()
    path.write_bytes(whole[: size if size >= 0 else size - 3 * 2880])
    with pytest.raises(ValueError, match=rf"{path}: .*; it is damaged, or no file .*stream wrote"):
        read_density_maps(path)
    # It is not taken for finished.
    with pytest.raises(FileExistsError, match="pass overwrite=True to replace it"):
        emulator.stream(path, 5, **OPTIONS)
    emulator.stream(path, 5, overwrite=True, **OPTIONS)
    assert path.read_bytes() == whole


@every_format
def test_other_files(tmp_path, name):
    path = tmp_path / name
    path.write_text("precious " * 1000)
    message = rf"{path}: .*; it is damaged, or no file that DensityMapEmulator.stream wrote"
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    with pytest.raises(ValueError, match=message):
        read_density_maps(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=message):
        read_density_maps(path)


def test_other_zarr(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.open_group(tmp_path / "group.zarr", mode="w")
    zarr.create_array(tmp_path / "array.zarr", shape=(2, 2), dtype="f4")
    with pytest.raises(ValueError, match=r"group.zarr does not hold maps that Dens"):
        read_density_maps(tmp_path / "group.zarr")
    with pytest.raises(ValueError, match=r"array.zarr: .*; it is damaged, or no file that Dens"):
        read_density_maps(tmp_path / "array.zarr")


@pytest.mark.parametrize("name", ["maps.zarr"])
def test_a_damaged_chunk(path):
    chunk = next(each for each in path.rglob("c/0/**/*") if each.is_file())
    chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(ValueError, match=rf"{path}: .*; it is damaged, or no file"):
        read_density_maps(path)


def test_another_header(emulator, tmp_path):
    path = emulator.stream(tmp_path / "a.fits", 1, **OPTIONS)
    fits.setval(path, "BUNIT", value="precious")
    with pytest.raises(FileExistsError):
        emulator.stream(path, 1, **OPTIONS)
    with pytest.raises(ValueError, match=rf"{path}: .*; it is damaged"):
        read_density_maps(path)
    fits.PrimaryHDU(header=fits.Header({"ADLMETA": "{}"})).writeto(tmp_path / "b.fits")
    with pytest.raises(ValueError, match=r"b.fits does not hold maps that DensityMapEmulator"):
        read_density_maps(tmp_path / "b.fits")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("maps", (1, 16, 16), "f4").attrs["ADLMETA"] = "precious"
    with pytest.raises(ValueError, match=r"c.h5: .*; it is damaged"):
        read_density_maps(tmp_path / "c.h5")


@every_format
@pytest.mark.parametrize("n", [10**12, 2**70])
def test_more_than_the_disk_holds(emulator, tmp_path, name, n):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    with pytest.raises(OSError, match=rf"n={n} maps of \(16, 32\) pixels take .* GiB, .* has"):
        emulator.stream(tmp_path / name, n, **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_needs_no_room(emulator, tmp_path, monkeypatch):
    monkeypatch.setattr(_emulator, "_PIXELS", 2 * 16 * 32)
    room = SimpleNamespace(total=10**6, free=5 * 2048)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    path = emulator.stream(tmp_path / "a.fits", 5, **OPTIONS)

    def stop(done, _):
        if done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emulator.stream(path, 5, overwrite=True, progress=stop, **OPTIONS)
    room.free = 2047
    with pytest.raises(OSError, match="GiB of room"):
        emulator.stream(path, 5, overwrite=True, **OPTIONS)
    room.free = 2048
    emulator.stream(path, 5, overwrite=True, **OPTIONS)
    # Some disks do not say.
    room.total = room.free = 0
    emulator.stream(tmp_path / "b.fits", 5, **OPTIONS)
