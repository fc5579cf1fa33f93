"""Classification into a folder, and out of many images."""

import os
import subprocess
import sys
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

# Kills runs after some parts, and some moments more.
KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from astropy.table import QTable
from astrodlkit import classify_cutouts

folder = Path(sys.argv[1])

def run(name, kill_after=None):
    child = os.fork()
    if child == 0:
        classify_cutouts(folder / "sources.parquet", folder / "tiles.parquet",
                         output=folder / name, part_size=8, progress=False)
        os._exit(0)
    if kill_after is not None:
        while len(list((folder / name).glob("part-*.parquet"))) < kill_after:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status == 0 or (kill_after is not None and status == signal.SIGKILL), status

random.seed(1)
for kill_after in (0, 2, 5):
    run("out", kill_after)
run("out")
run("whole")
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
    bands = {
        b: CCDData((k * image).astype("f4"), unit="nmgy", wcs=tan())
        for b, k in zip("gri", (1, 2, 3), strict=True)
    }
    return table, bands


@pytest.fixture
def tiles(sky, tmp_path):
    """The sky as four overlapping tiles, 12 files."""
    _, bands = sky
    folder = tmp_path / "tiles"
    folder.mkdir()
    for name, (x0, y0) in {"a": (0, 0), "b": (140, 0), "c": (0, 140), "d": (140, 140)}.items():
        for band, image in bands.items():
            header = tan(x0, y0).to_header()
            header["FILTER"], header["BUNIT"] = band, "nmgy"
            part = image.data[y0 : y0 + 260, x0 : x0 + 260]
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
    pixels = np.random.default_rng(1).random((7, 3, 20, 20))
    for k, (rows, data, extra) in enumerate(
        [
            (table["position"][:7], bands, {"size": np.linspace(4, 8, 7) * u.arcsec}),
            (Cutouts(pixels, bands=("red", "green", "blue")), None, {}),
            (QTable({"cutout": pixels}), None, {"bands": ("red", "green", "blue")}),
            (table[:0], bands, {}),
        ]
    ):
        options = {"model": classifier, "progress": False, "stretch": "auto"} | extra
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
    same(found, wanted, atol=2e-4)
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
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no kill -9")
def test_killed_at_any_moment(sky, tiles, tmp_path):
    table, _ = sky
    index_images(tiles).write(tmp_path / "tiles.parquet")
    table.write(tmp_path / "sources.parquet")
    subprocess.run([sys.executable, "-c", KILLS, tmp_path], check=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
