"""``astrodlkit emulate``, from arguments to files."""

import numpy as np
import pytest
import torch
from astropy.cosmology import FlatLambdaCDM

from astrodlkit.cli import main
from astrodlkit.cosmicweb import read_density_maps
from astrodlkit.networks import build
from astrodlkit.pretrained import ModelCard, save_model
from astrodlkit.specs import MapSpec


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network that has learned nothing but a distribution."""
    domain = {"Om0": (0.1, 0.5), "sigma8": (0.6, 1), "redshift": (0, 2)}
    card = ModelCard(
        name="web",
        title="Lognormal",
        task="emulate",
        architecture="density-maps",
        options={"pixel": 2.0, "widths": [8, 8]},
        maps=MapSpec(pixel=2, box_size=128, thickness=8, domain=domain),
    )
    network = build(card.architecture, **card.options)
    network.distribution[0] = torch.linspace(*network.values)
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, card, network)
    return folder


@pytest.fixture
def run(capsys, model):
    """Run the command; give its exit code, the lines on stdout, and those on stderr."""

    def run(*arguments):
        code = main(["emulate", *map(str, arguments), "-m", str(model), "--no-progress"])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err.splitlines()

    return run


@pytest.mark.parametrize("name", ["maps.fits", "maps.h5"])
def test_maps_and_preview(run, tmp_path, name):
    out, png = tmp_path / name, tmp_path / "maps.png"
    code, words, errors = run(
        *("-n", 5, "--box", 128, "--shape", 64, "--redshift", 0.5, "--seed", 3),
        *("-o", out, "--preview", png),
    )
    assert (code, errors) == (0, [])
    assert words == [f"5 maps from web, seed 3: {out}", f"picture: {png}"]
    maps = read_density_maps(out)
    assert maps.data.shape == (5, 64, 64)
    assert maps.meta["cosmology"].name == "Planck18"
    assert (maps.meta["redshift"], maps.meta["seed"]) == (0.5, 3)
    assert png.read_bytes().startswith(b"\x89PNG")


def test_sides_unit_and_a_cosmology_of_a_file(run, tmp_path):
    out, own = tmp_path / "maps.fits", tmp_path / "own.ecsv"
    FlatLambdaCDM(68, 0.3, name="own").write(own)
    options = ("--box", 64, 128, "--shape", 32, 64, "--cosmology", own, "-o", out)
    code, _, errors = run(*options)
    assert code == 1
    assert "the cosmology own does not say sigma8" in errors[0]
    code, _, errors = run(*options, "--sigma8", 0.8, "--unit", "Msun / Mpc2")
    assert (code, errors) == (0, [])
    maps = read_density_maps(out)
    assert maps.data.shape == (1, 32, 64)
    assert maps.unit == "Msun / Mpc2"
    assert maps.meta["cosmology"].name == "own"
    assert np.isfinite(maps.data).all()


def test_what_is_refused(run, tmp_path, capsys):
    out = tmp_path / "maps.fits"
    out.write_text("precious")
    small = ("--box", 64, "--shape", 32)
    code, _, errors = run(*small, "-o", out)
    assert (code, errors) == (1, [f"astrodlkit: error: {out} exists; --overwrite replaces it"])
    assert out.read_text() == "precious"
    assert run(*small, "-o", out, "--overwrite")[0] == 0
    code, _, errors = run(*small, "-o", tmp_path / "a.fits", "--cosmology", "Planck99")
    assert code == 1
    assert "--cosmology Planck99: must be one of" in errors[0]
    for name, text in (("c.fits", "precious"), ("c.ecsv", "# %ECSV 1.0\n"), ("c.txt", "")):
        wrong = tmp_path / name
        wrong.write_text(text)
        code, _, errors = run(*small, "-o", tmp_path / "a.fits", "--cosmology", wrong)
        message = f"--cosmology {wrong}: not a file that Cosmology.write made"
        assert (code, errors) == (1, [f"astrodlkit: error: {message}"])
    code, _, errors = run("-o", tmp_path / "a.fits")
    assert "pixels of 1.95312 x 1.95312 Mpc; web has pixels of 2 Mpc" in errors[0]
    with pytest.raises(SystemExit):
        main(["emulate", "-o", "a.fits", "--box", "1", "2", "3"])
    assert "--box and --shape take one number, or two" in capsys.readouterr().err
    assert not (tmp_path / "a.fits").exists()
