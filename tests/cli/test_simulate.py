"""``astrodlkit simulate``, from arguments to files."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, load_model
from astrodlkit.cli import main
from astrodlkit.cutouts._store import read_first

pytest.importorskip("galsim")


@pytest.fixture
def run(capsys, simulator):
    """Run the command; give its exit code, the lines on stdout, and those on stderr."""

    def run(*arguments):
        code = main(["simulate", *map(str, arguments), "-m", str(simulator), "--no-progress"])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err.splitlines()

    return run


@pytest.fixture
def catalog(tmp_path):
    n = 70
    rng = np.random.default_rng(1)
    table = QTable({"mag": rng.uniform(20, 23, n)})
    table["half_light_radius"] = rng.uniform(0.3, 0.9, n) * u.arcsec
    table["ra"], table["dec"] = rng.uniform(10, 11, (2, n)) * u.deg
    path = tmp_path / "catalog.ecsv"
    table.write(path)
    return path


SMALL = ("--psf-fwhm", 0.7, "--pixel-scale", 0.2, "--shape", 24, "--seed", 3)


def test_stamps_and_preview(run, catalog, tmp_path, simulator):
    out, png = tmp_path / "stamps.fits", tmp_path / "stamps.png"
    code, words, errors = run(
        catalog, *SMALL, "--bands", "g,r,i", "-o", out, "--preview", png, "--batch-size", 32
    )
    assert (code, errors) == (0, [])
    assert words[0].startswith("70 galaxies from profiles, seed 3")
    assert words[0].endswith(f": {out}")
    assert words[1] == f"picture: {png}"
    assert png.read_bytes().startswith(b"\x89PNG")
    stamps = Cutouts.read(out)
    wanted = load_model(simulator).simulate(
        QTable.read(catalog), psf=0.7 * u.arcsec, pixel_scale=0.2 * u.arcsec, shape=24,
        bands=("g", "r", "i"), rng=3,
    )  # fmt: skip
    assert stamps.bands == ("g", "r", "i")
    assert stamps.unit == u.nJy
    assert_allclose(stamps.data, wanted.data, rtol=1e-5)
    for where in ((0, 0), (23, 5)):
        places = [each.image(65).wcs.pixel_to_world(*where) for each in (stamps, wanted)]
        assert places[0].separation(places[1]) < 1e-6 * u.arcsec


@pytest.mark.parametrize("name", ["stamps.fit", "stamps.h5", "stamps.hdf5", "stamps.zarr"])
def test_other_formats(run, catalog, tmp_path, name):
    pytest.importorskip("zarr" if name.endswith(".zarr") else "h5py")
    out, png = tmp_path / name, tmp_path / "stamps.png"
    options = (catalog, *SMALL, "--background-rms", "2 nJy", "-o", out)
    code, words, errors = run(*options, "--preview", png)
    assert (code, errors) == (0, [])
    assert words == [f"70 galaxies from profiles, seed 3: {out}", f"picture: {png}"]
    stamps = Cutouts.read(out)
    first = read_first(out, 20)
    assert_array_equal(first.data, stamps.data[:20])
    assert_array_equal(first.variance, stamps.variance[:20])
    assert (first.bands, first.unit, first.meta) == (stamps.bands, stamps.unit, stamps.meta)
    assert first.image(5).wcs.wcs.compare(stamps.image(5).wcs.wcs)
    code, _, errors = run(*options)
    assert (code, errors) == (1, [f"astrodlkit: error: {out} exists; --overwrite replaces it"])
    assert run(*options, "--overwrite")[0] == 0


def test_a_folder_of_catalogues(run, catalog, tmp_path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    folder, table = tmp_path / "catalogs", QTable.read(catalog)
    folder.mkdir()
    table[:30].write(folder / "a.parquet")
    table[30:].write(folder / "b.parquet")
    for each, out in ((folder, "a.fits"), (catalog, "b.fits")):
        assert run(each, *SMALL, "-o", tmp_path / out)[0] == 0
    one, other = (Cutouts.read(tmp_path / name) for name in ("a.fits", "b.fits"))
    assert_array_equal(one.data, other.data)


def test_names_units_noise_and_a_psf_of_a_file(run, tmp_path):
    path, out, psf = tmp_path / "plain.csv", tmp_path / "stamps.fits", tmp_path / "psf.fits"
    Table({"m": [20.0, 21.0], "Re": [0.5, 0.4]}).write(path)
    y, x = np.mgrid[-7:8, -7:8]
    image = np.exp(-(x**2 + y**2) / 8)
    fits.writeto(psf, image / image.sum())
    options = (
        *("--psf", psf, "--pixel-scale", 0.2, "--shape", 32, "-o", out, "--zero-point", 25),
        *("--column", "mag=m", "--column", "half_light_radius=Re:arcsec"),
    )
    code, _, errors = run(
        *(path, *options, "--sky-level", "30 adu", "--gain", "2 electron / adu"),
        *("--read-noise", "5 electron"),
    )
    assert (code, errors) == (0, [])
    stamps = Cutouts.read(out)
    assert stamps.unit == u.adu
    assert_allclose(stamps.variance[0, 0, 0, 0], 15 + 6.25, rtol=0.05)
    assert stamps.data[0].sum() == pytest.approx(100, abs=5 * np.sqrt(32**2 * 22))
    code, _, errors = run(path, *SMALL, "-o", tmp_path / "b.fits", "--column", "mag=m")
    assert code == 1
    assert "no column 'half_light_radius'" in errors[0]
    code, _, errors = run(path, *SMALL, "-o", tmp_path / "b.fits", "--column", "mag=M:mag")
    assert "--column mag=M: the table has ['m', 'Re']" in errors[0]


def test_an_empty_catalogue(run, tmp_path):
    path, out = tmp_path / "empty.ecsv", tmp_path / "stamps.fits"
    QTable({"mag": [20.0], "half_light_radius": [1] * u.arcsec})[:0].write(path)
    code, words, errors = run(path, *SMALL, "-o", out, "--preview", tmp_path / "a.png")
    assert (code, errors) == (0, [])
    assert words == [f"0 galaxies from profiles, seed 3: {out}"]
    assert Cutouts.read(out).shape == (0, 1, 24, 24)


def test_rows_that_cannot_be_drawn_are_told(run, tmp_path):
    path, out = tmp_path / "bad.ecsv", tmp_path / "stamps.fits"
    QTable({"mag": [20.0, np.nan], "half_light_radius": [1, 1] * u.arcsec}).write(path)
    code, words, _ = run(path, *SMALL, "-o", out)
    assert code == 0
    assert "1 invalid_value" in words[0]
    assert "1 no_result" in words[0]
    assert Cutouts.read(out).mask[1].all()


def test_what_is_refused(run, catalog, tmp_path, capsys):
    out = tmp_path / "stamps.fits"
    out.write_text("precious")
    code, _, errors = run(catalog, *SMALL, "-o", out)
    assert (code, errors) == (1, [f"astrodlkit: error: {out} exists; --overwrite replaces it"])
    assert out.read_text() == "precious"
    assert run(catalog, *SMALL, "-o", out, "--overwrite")[0] == 0
    code, _, errors = run(catalog, *SMALL, "-o", tmp_path / "a.ecsv")
    assert "must end in one of .fits, .fit, .h5, .hdf5, .zarr" in errors[0]
    code, _, errors = run(tmp_path / "nothing.fits", *SMALL, "-o", tmp_path / "a.fits")
    assert "there is no such file" in errors[0]
    code, _, errors = run(catalog, *SMALL, "-o", tmp_path / "a.fits", "--gain", "2 electron / nJy")
    assert "give sky_level (with gain) or background_rms" in errors[0]
    code, _, errors = run(catalog, *SMALL, "-o", tmp_path / "a.fits", "--bands", "z")
    assert "bands must be of g, r, i" in errors[0]
    for wrong in (("--column", "mag"), ("--gain", "a"), ("--shape", "0"), ("--psf", "a.fits")):
        with pytest.raises(SystemExit):
            main(["simulate", str(catalog), *map(str, SMALL), "-o", "a.fits", *wrong])
    assert "must be MEANING=NAME" in capsys.readouterr().err
    assert not (tmp_path / "a.fits").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["catalog.ecsv", "stamps.fits"]
