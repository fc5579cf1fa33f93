"""The command, from arguments to exit code."""

import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from numpy.testing import assert_allclose

import astrodlkit.classify
from astrodlkit import classify_cutouts
from astrodlkit.cli import main


@pytest.fixture
def run(capsys):
    """Run the command; give its exit code, the lines on stdout, and those on stderr."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err.splitlines()

    return run


@pytest.fixture
def no_work(monkeypatch):
    """Whoever reaches the network has gone too far."""

    def refuse(*args, **kwargs):
        raise AssertionError("the work has started")

    monkeypatch.setattr(astrodlkit.classify, "classify_cutouts", refuse)


def refused(capsys, *arguments):
    """What a call with wrong usage prints."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("kind", ["sources.ecsv", "sources.fits", "sources.vot", "sources.csv"])
def test_catalogue_as_last_file(run, frames, sources, tmp_path, kind):
    catalog, out = tmp_path / kind, tmp_path / "out.ecsv"
    if kind.endswith(".csv"):
        # Text has no units: SDSS' radii are known to be in arcsec.
        sources["petroR90"] = sources["petroR90"].value
    sources.write(catalog, format="votable" if kind.endswith(".vot") else None)
    code, words, errors = run(
        "classify", *frames, catalog, "-o", out, "--bands", "g,r,i", "--no-progress"
    )
    assert (code, errors) == (0, [])
    assert words[0].startswith("4 sources: ")
    assert words[1] == f"table: {out}"
    result = QTable.read(out)
    assert list(result["name"]) == ["d", "c", "b", "a"]
    assert result.colnames[:4] == sources.colnames
    expected = classify_cutouts(sources, dict(zip("gri", frames, strict=True)))
    assert list(result["class"]) == list(expected["class"])
    assert_allclose(result["class_probability"], expected["class_probability"], atol=1e-4)
    assert result.meta["astrodlkit"]["model"].startswith("galaxyzoo2")


def test_detection_and_gallery(run, frames, tmp_path):
    out, png = tmp_path / "out.fits", tmp_path / "out.png"
    code, words, errors = run(
        *("classify", *frames, "--bands", "g,r,i", "-o", out, "--gallery", png, "--no-progress")
    )
    assert (code, errors) == (0, [])
    assert words[-1] == f"picture: {png}"
    assert len(QTable.read(out)) == 4
    assert png.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.fits", "out.png"]


def test_options_reach_the_model(run, frames, sources, tmp_path):
    catalog, out = tmp_path / "sources.ecsv", tmp_path / "out.ecsv"
    sources.write(catalog)
    code, _, _ = run(
        *("classify", frames[1], "--catalog", catalog, "-o", out, "--no-progress"),
        *("--size", "15 arcsec", "--views", "4", "--batch-size", "3"),
    )
    assert code == 0
    provenance = QTable.read(out).meta["astrodlkit"]
    assert provenance["views"] == 4
    assert provenance["size"] == "15.0 arcsec"


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(run, frames, sources, tmp_path):
    catalog, plain = tmp_path / "sources.ecsv", tmp_path / "plain.fits"
    sources.write(catalog)
    with fits.open(frames[1]) as hdus:
        del hdus[0].header["BUNIT"]
        hdus.writeto(plain)
    code, _, errors = run("classify", plain, catalog, "-o", tmp_path / "o.ecsv", "--no-progress")
    assert code == 0
    assert len(errors) == 1
    assert errors[0].startswith("astrodlkit: warning: the cutouts have no flux unit")


@pytest.mark.usefixtures("no_work")
def test_an_existing_file_is_refused_before_the_work(run, frames, sources, tmp_path):
    out, png, catalog = tmp_path / "o.ecsv", tmp_path / "o.png", tmp_path / "sources.ecsv"
    sources.write(catalog)
    png.write_text("precious")
    code, words, errors = run("classify", frames[0], catalog, "-o", out, "--gallery", png)
    assert (code, words) == (1, [])
    assert errors == [f"astrodlkit: error: {png} exists; --overwrite replaces it"]
    assert png.read_text() == "precious"
    assert not out.exists()


def test_overwrite(run, frames, sources, tmp_path):
    catalog = tmp_path / "sources.ecsv"
    sources.write(catalog)
    # The catalogue itself may be what is replaced.
    code, _, _ = run("classify", frames[0], catalog, "-o", catalog, "--overwrite", "--no-progress")
    assert code == 0
    assert "class" in QTable.read(catalog).colnames


def test_an_image_is_not_replaced(frames, sources, tmp_path, capsys):
    image, catalog = tmp_path / "image.fits", tmp_path / "sources.ecsv"
    image.write_bytes(frames[0].read_bytes())
    sources.write(catalog)
    errors = refused(capsys, "classify", image, catalog, "-o", image, "--overwrite")
    assert f"OUT is one of the images: {image}" in errors
    assert image.read_bytes() == frames[0].read_bytes()


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("where", ["image", "catalogue"])
def test_a_damaged_file_is_one_line(run, frames, sources, tmp_path, where):
    catalog, broken = tmp_path / "sources.ecsv", tmp_path / "broken.fits"
    sources.write(catalog)
    broken.write_bytes(frames[0].read_bytes()[:20000])
    catalog = catalog if where == "image" else tmp_path / "none.ecsv"
    code, _, errors = run("classify", broken, catalog, "-o", tmp_path / "o.ecsv")
    assert code == 1
    assert len(errors) == 1
    assert errors[0].startswith("astrodlkit: error: ")
    assert not (tmp_path / "o.ecsv").exists()


@pytest.mark.usefixtures("no_work")
def test_an_empty_sky_needs_a_catalogue(run, tmp_path):
    image = tmp_path / "sky.fits"
    fits.writeto(image, np.zeros((64, 64)))
    code, _, errors = run("classify", image, "-o", tmp_path / "o.ecsv")
    assert code == 1
    assert errors == [f"astrodlkit: error: {image}: no source was detected; give a catalogue"]


def test_debug_shows_the_traceback(frames, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        main(["classify", str(frames[0]), "missing", "-o", str(tmp_path / "o.ecsv"), "--debug"])


def test_bands_of_other_names_and_of_cutouts(run, frames, sources, tmp_path):
    sources.write(tmp_path / "sources.ecsv")
    out = "--no-progress", "-o", tmp_path / "o.ecsv", "--overwrite"
    found = []
    for order, bands in (((0, 1, 2), "g,r,i"), ((2, 1, 0), "F814W,F606W,F475W")):
        files = [frames[i] for i in order]
        code, _, errors = run("classify", *files, tmp_path / "sources.ecsv", "--bands", bands, *out)
        assert code == 0, errors
        found.append(QTable.read(tmp_path / "o.ecsv")["class_probability"])
    assert_allclose(found[1], found[0])
    stamps = np.random.default_rng(1).random((len(sources), 3, 32, 32), np.float32)
    sources["cutout"] = 1e4 * stamps * u.nJy / u.arcsec**2
    sources.write(tmp_path / "cutouts.fits")
    for bands in ("g,r,i", "i,r,g"):
        code, _, errors = run("classify", tmp_path / "cutouts.fits", "--bands", bands, *out)
        assert code == 0, errors
        found.append(QTable.read(tmp_path / "o.ecsv")["class_probability"])
    assert not np.allclose(found[2], found[3], equal_nan=True)


def test_a_model_without_classes(run, frames, sources, tmp_path):
    sources.write(tmp_path / "sources.ecsv")
    code, words, _ = run(
        *("classify", *frames, tmp_path / "sources.ecsv", "--bands", "g,r,i", "-m", "efigi"),
        *("-o", tmp_path / "o.ecsv", "--no-progress"),
    )
    assert code == 0
    assert words[0].startswith(f"{len(sources)} sources")
    assert len(QTable.read(tmp_path / "o.ecsv")) == len(sources)


def test_interruption(run, frames, sources, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(astrodlkit.classify, "classify_cutouts", interrupt)
    sources.write(tmp_path / "sources.ecsv")
    code, _, errors = run(
        "classify", frames[0], tmp_path / "sources.ecsv", "-o", tmp_path / "o.ecsv"
    )
    assert (code, errors) == (130, ["astrodlkit: interrupted"])
    assert not (tmp_path / "o.ecsv").exists()


def test_reader_that_has_enough():
    """As ``astrodlkit models | head -1``."""
    command = [sys.executable, "-m", "astrodlkit", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert not process.stderr.read()
    assert process.returncode == 141


@pytest.mark.usefixtures("no_work")
def test_wrong_usage(capsys, frames, tmp_path):
    out = tmp_path / "o.ecsv"
    assert "-o/--output" in refused(capsys, "classify", frames[0])
    assert "--bands must name the 3 images" in refused(capsys, "classify", *frames, "-o", out)
    assert "--bands must name the 1 images" in refused(
        capsys, "classify", frames[0], "-o", out, "--bands", "g,r"
    )
    assert "must be 1 or more" in refused(
        capsys, "classify", frames[0], "-o", out, "--batch-size", "0"
    )
    assert "choose from 1, 2, 4, 8" in refused(
        capsys, "classify", frames[0], "-o", out, "--views", "3"
    )
    assert "the model efigi has no column 'class'" in refused(
        capsys, "classify", *frames, "--bands", "g,r,i", "-m", "efigi", "-o", out,
        "--gallery", tmp_path / "o.png",
    )  # fmt: skip
    assert "COMMAND" in refused(capsys)
    assert not out.exists()


def test_models(run):
    code, words, _ = run("models")
    assert code == 0
    assert [line.split()[0] for line in words] == astrodlkit.list_models()
    code, words, _ = run("models", "galaxyzoo2")
    assert code == 0
    assert "\n".join(words) == str(astrodlkit.describe_model("galaxyzoo2"))
    code, _, errors = run("models", "galaxyzoo3")
    assert code == 1
    assert len(errors) == 1
    assert "galaxyzoo2" in errors[0]


def test_exit_code_of_the_process():
    """As ``python -m astrodlkit``."""
    process = subprocess.run(
        [sys.executable, "-m", "astrodlkit", "models", "nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("astrodlkit: error: ")
    assert process.stderr.count("\n") == 1


def test_intervals_and_several_models(run, frames, sources, tmp_path):
    sources.write(tmp_path / "sources.ecsv")
    out = tmp_path / "out.ecsv"
    models = ("-m", "galaxyzoo2", "--model", "galaxyzoo2.v1")
    options = ("--bands", "g,r,i", "--interval", "0.95", "--no-progress", "-o", out)
    code, _, errors = run("classify", *frames, tmp_path / "sources.ecsv", *models, *options)
    assert (code, errors) == (0, [])
    result = QTable.read(out)
    assert result.meta["astrodlkit"]["model"] == "galaxyzoo2.v1, galaxyzoo2.v1"
    for ending in ("error", "low", "high", "spread"):
        assert np.isfinite(result[f"t04_spiral_a08_spiral_{ending}"]).all()
    assert (result["class_probability_spread"] == 0).all()
