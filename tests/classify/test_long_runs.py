"""Classification into a folder, and out of many images."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import QTable, vstack
from astropy.wcs import WCS
from numpy.testing import assert_allclose

from astrodlkit import Cutouts, Flag, classify_cutouts, load_model
from astrodlkit.classify import ClassifierEnsemble
from astrodlkit.cutouts import TileIndex, index_images
from astrodlkit.engine import TableParts
from astrodlkit.exceptions import AstrodlkitWarning

pytest.importorskip("pyarrow")
pytest.importorskip("pandas")

RUN = """
import sys
from astropy.table import QTable
from astrodlkit import classify_cutouts

print("ready", flush=True)
classify_cutouts(sys.argv[1], sys.argv[2], output=sys.argv[3], part_size=8, progress=False)
"""
N = 60


def tan(x0=0, y0=0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (150.0, 2.0), (-1.1e-4, 1.1e-4)
    wcs.wcs.crpix = 201 - x0, 201 - y0
    return wcs


@pytest.fixture(scope="module")
def classifier():
    return load_model("galaxyzoo2")


@pytest.fixture(scope="module")
def sky():
    """Blobs in three bands, and a table of them."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(20, 380, (2, N))
    sigma = rng.uniform(2, 4, N)
    py, px = np.mgrid[:400, :400]
    image = rng.normal(0, 0.01, (400, 400))
    for x0, y0, s in zip(x, y, sigma, strict=True):
        image += np.exp(-((px - x0) ** 2 + (py - y0) ** 2) / (2 * s**2))
    table = QTable(
        {
            "id": np.arange(N),
            "position": tan().pixel_to_world(x, y),
            "half_light_radius": 1.18 * sigma * 0.396 * u.arcsec,
        },
        meta={"survey": "none"},
    )
    bands = {b: CCDData(k * image, unit="nmgy", wcs=tan()) for b, k in zip("gri", (1, 2, 3), strict=True)}
    return table, bands


@pytest.fixture
def tiles(sky, tmp_path):
    """The sky as four overlapping tiles, 12 files."""
    _, bands = sky
    folder = tmp_path / "tiles"
    folder.mkdir()
    for name, (x0, y0) in {"a": (0, 0), "b": (180, 0), "c": (0, 180), "d": (180, 180)}.items():
        for band, image in bands.items():
            header = tan(x0, y0).to_header()
            header["FILTER"], header["BUNIT"] = band, "nmgy"
            part = image.data[y0 : y0 + 220, x0 : x0 + 220]
            fits.writeto(folder / f"{name}-{band}.fits", part.astype("f4"), header)
    return folder


def same(one, other, *, atol=0.0):
    assert one.colnames == other.colnames
    for name in one.colnames:
        if isinstance(one[name], SkyCoord):
            assert (one[name].separation(other[name]) < 1 * u.uas).all()
        elif one[name].dtype.kind == "f":
            assert_allclose(u.Quantity(one[name]).value, u.Quantity(other[name]).value, atol=atol)
        else:
            assert (one[name] == other[name]).all()


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_same_as_in_memory(sky, classifier, tmp_path):
    table, bands = sky
    options = {"model": classifier, "interval": 0.68, "progress": False}
    wanted = classify_cutouts(table, bands, **options)
    parts = classify_cutouts(table, bands, output=tmp_path / "out", part_size=25, **options)
    assert isinstance(parts, TableParts)
    result = parts.read()
    same(result, wanted, atol=2e-6)
    assert result["half_light_radius"].unit == u.arcsec
    assert result["class"].description == wanted["class"].description
    about = wanted.meta["astrodlkit"]
    del about["date"]
    assert result.meta == {"survey": "none", "astrodlkit": about}
    assert parts.manifest["sha256"] == classifier.card.weights.sha256


def test_refuses_another_run(sky, classifier, tmp_path):
    table, bands = sky
    table = table[:6]
    out = tmp_path / "out"

    def run(table=table, bands=bands, **options):
        options = {"model": classifier, "part_size": 4} | options
        return classify_cutouts(table, bands, output=out, progress=False, **options)

    run()
    before = contents(out)
    run()
    other = table.copy()
    other["id"][0] = 99
    brighter = dict(bands, r=CCDData(bands["r"].data * 2, unit="nmgy", wcs=tan()))
    for match, options in {
        "settings.views: 1 there, 2 now": {"views": 2},
        "settings.interval": {"interval": 0.68},
        "settings.size": {"size": 5 * u.arcsec},
        "part_size: 4 there, 3 now": {"part_size": 3},
        "model": {"model": [classifier, classifier]},
        "input.table": {"table": other},
        "rows: 6 there, 5 now": {"table": table[:5]},
        "input.data": {"bands": brighter},
    }.items():
        with pytest.raises(ValueError, match=f"holds the results of another run.*{match}"):
            run(**options)
    # A size for each row is input too.
    out = tmp_path / "sizes"
    run(size=np.arange(6) + 10)
    with pytest.raises(ValueError, match=r"input\.data"):
        run(size=np.arange(6) + 11)
    assert contents(tmp_path / "out") == before


def test_what_goes_wrong_is_said_before_anything_is_written(sky, classifier, tmp_path):
    table, bands = sky
    out = tmp_path / "out"
    objects = table.copy()
    objects["thing"] = [object()] * N
    cubes = table.copy()
    cubes["cube"] = np.zeros((N, 2, 2))
    for wrong, options, error in (
        (table, {"views": 3}, ValueError),
        (table, {"part_size": 0}, ValueError),
        (objects, {}, TypeError),
        (cubes, {}, TypeError),
        (tmp_path / "missing.parquet", {}, FileNotFoundError),
    ):
        with pytest.raises(error):
            classify_cutouts(wrong, bands, model=classifier, output=out, **options)
    assert not out.exists()


def test_other_tables(sky, classifier, tmp_path):
    """Coordinates, cutouts, none at all, a size for each row."""
    table, bands = sky
    for k, (rows, data, options) in enumerate(
        [
            (table["position"][:7], bands, {"size": np.linspace(4, 8, 7) * u.arcsec}),
            (Cutouts(np.random.default_rng(1).random((7, 3, 20, 20))), None, {}),
            (QTable({"cutout": np.random.default_rng(1).random((7, 3, 20, 20))}), None, {}),
            (table[:0], bands, {}),
        ]
    ):
        options = {"model": classifier, "progress": False, "stretch": "auto"} | options
        if data is None:
            options["bands"] = ("red", "green", "blue")
        wanted = classify_cutouts(rows, data, **options)
        out = tmp_path / str(k)
        found = classify_cutouts(rows, data, output=out, part_size=3, **options).read()
        if "cutout" in wanted.colnames:
            wanted.remove_column("cutout")
        same(found, wanted, atol=2e-6)


def test_streams_parquet(sky, classifier, tmp_path):
    table, bands = sky
    table.write(tmp_path / "sources.parquet")
    options = {"model": classifier, "part_size": 25, "progress": False}
    found = classify_cutouts(
        tmp_path / "sources.parquet", bands, output=tmp_path / "one", **options
    )
    wanted = classify_cutouts(table, bands, output=tmp_path / "two", **options)
    same(found.read(), wanted.read())


def test_tiles(sky, classifier, tiles, tmp_path):
    """In memory every tile is opened once, and the order is the user's."""
    table, bands = sky
    options = {"model": classifier, "progress": False}
    wanted = classify_cutouts(table, bands, **options)
    index = TileIndex(index_images(tiles))
    found = classify_cutouts(table, index, batch_size=7, **options)
    assert index._opened.opened == 12
    same(found, wanted, atol=2e-3)
    assert (found["class"] == wanted["class"]).all()
    parts = classify_cutouts(
        table, index, output=tmp_path / "out", part_size=25, batch_size=7, **options
    )
    same(parts.read(), found, atol=2e-6)
    chunks = list(classifier.stream(table, index, batch_size=7))
    same(vstack(chunks, metadata_conflicts="silent"), found, atol=2e-6)
    assert_allclose(
        classifier.embed(table, index, batch_size=7),
        classifier.embed(table, bands),
        atol=0.1,
    )
    several = ClassifierEnsemble([classifier, classifier])
    same(
        several.predict(table, index_images(tiles), batch_size=7)["id", "class"],
        found["id", "class"],
    )


def test_bad_tile(sky, classifier, tiles, tmp_path):
    table, _ = sky
    options = {"model": classifier, "progress": False}
    good = classify_cutouts(table, index_images(tiles), **options)
    index = index_images(tiles)
    path = tiles / "b-r.fits"
    path.write_bytes(path.read_bytes()[:60000])
    with pytest.warns(AstrodlkitWarning, match=r"b-r\.fits"):
        parts = classify_cutouts(table, index, output=tmp_path / "out", part_size=25, **options)
    found = parts.read()
    bad = found["flags"] & Flag.UNREADABLE != 0
    assert 5 < bad.sum() < 30
    assert (found["flags"][bad] & Flag.NO_RESULT == Flag.NO_RESULT).all()
    assert np.isnan(found["class_probability"][bad]).all()
    same(found[~bad], good[~bad], atol=2e-6)


def test_sources_off_all_tiles(classifier, tiles):
    table = QTable({"ra": [150, 10, np.nan] * u.deg, "dec": [2, 2, 2] * u.deg})
    result = classify_cutouts(
        table, index_images(tiles), model=classifier, size=10 * u.arcsec, progress=False
    )
    assert result["flags"][1] & Flag.NO_OVERLAP
    assert result["flags"][2] & Flag.INVALID_POSITION
    assert (result["class"] == "").tolist() == [False, True, True]
    with pytest.raises(ValueError, match="positions on the sky"):
        classify_cutouts({"x": [1.0], "y": [1.0]}, index_images(tiles), size=10, model=classifier)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9")
def test_killed_at_any_moment(sky, tiles, tmp_path):
    table, _ = sky
    index_images(tiles).write(tmp_path / "tiles.parquet")
    table.write(tmp_path / "sources.parquet")
    script = tmp_path / "run.py"
    script.write_text(RUN)
    files = [tmp_path / "sources.parquet", tmp_path / "tiles.parquet"]
    subprocess.run([sys.executable, script, *files, tmp_path / "whole"], check=True)
    rng = random.Random(1)  # noqa: S311
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, script, *files, tmp_path / "out"], stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(1, 6))
            process.kill()
    subprocess.run([sys.executable, script, *files, tmp_path / "out"], check=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
