"""What files say of their maps, and files that are damaged or of something else."""

import pytest
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits

from astrodlkit import load_model
from astrodlkit.cosmicweb import read_density_maps

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


def test_what_cannot_be_written_of_a_cosmology(emulator, tmp_path):
    cosmology = FlatLambdaCDM(68, 0.3, meta={"sigma8": 0.8, "by": object()})
    message = r"cosmology cannot be written: its meta\['by'\] is <object .*>, which no file holds"
    with pytest.raises(ValueError, match=message):
        emulator.stream(tmp_path / "a.fits", 1, cosmology=cosmology, **OPTIONS)
    assert list(tmp_path.iterdir()) == []
