"""The command: an index of images, and results in a folder."""

import pytest
from astropy.io import fits
from astropy.table import QTable, Table

import astrodlkit.classify
from astrodlkit.cli import main
from astrodlkit.engine import TableParts

pytest.importorskip("pyarrow")
pytest.importorskip("pandas")


@pytest.fixture
def tiles(frames, tmp_path):
    """An index of the frames."""
    out = tmp_path / "tiles.parquet"
    bands = [f"--band={band}={band}.fits" for band in "gri"]
    assert main(["index", str(frames[0].parent), "-o", str(out), *bands, "--no-progress"]) == 0
    return out


def test_index(frames, tiles, tmp_path, capsys):
    command = ["index", str(frames[0].parent), "-o", str(tiles)]
    capsys.readouterr()
    assert main([*command, "--overwrite", "--band=g=g.fits", "--band=r=?.fits"]) == 1
    assert "g.fits matches the patterns of ['g', 'r']" in capsys.readouterr().err
    bands = [f"--band={band}={band}.fits" for band in "gri"]
    assert main([*command, "--overwrite", "--no-progress", *bands]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "3 images in the bands g, i, r",
        f"index: {tiles}",
    ]
    index = Table.read(tiles)
    assert index["path"].tolist() == sorted(map(str, frames))
    assert index["s_region"].description == "outline of the image (ObsCore)"
    assert main(command) == 1
    assert "exists; --overwrite replaces it" in capsys.readouterr().err
    assert main(["index", str(tmp_path / "none"), "-o", str(tmp_path / "a.ecsv")]) == 1
    assert "is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["index", str(tmp_path), "-o", "a.ecsv", "--band", "g"])
    assert "must be BAND=PATTERN, got 'g'" in capsys.readouterr().err


def test_hdu_by_number_and_by_name(frames, tmp_path):
    folder = tmp_path / "mosaic"
    folder.mkdir()
    with fits.open(frames[0]) as hdus:
        ccds = [fits.ImageHDU(hdus[0].data, hdus[0].header, name=name) for name in ("N1", "N2")]
        fits.HDUList([fits.PrimaryHDU(), *ccds]).writeto(folder / "all.fits")
    for hdu, numbers in (("N*", [1, 2]), ("2", [2])):
        out = tmp_path / f"{len(numbers)}.ecsv"
        assert main(["index", str(folder), "-o", str(out), "--hdu", hdu, "--no-progress"]) == 0
        assert Table.read(out)["hdu"].tolist() == numbers


def test_classify_into_a_folder(tiles, sources, tmp_path, capsys):
    catalog, out = tmp_path / "sources.parquet", tmp_path / "results"
    sources.write(catalog)
    command = ["classify", str(tiles), str(catalog), "-o", f"{out}/", "--no-progress"]
    capsys.readouterr()
    assert main(command) == 0
    words = capsys.readouterr().out.splitlines()
    assert words[0].startswith("4 sources: ")
    assert words[1] == f"folder: {out}"
    table = TableParts(out).read()
    assert table["name"].tolist() == sources["name"].tolist()
    assert main([*command, "--views", "2"]) == 1
    assert "settings.views: 1 there, 2 now" in capsys.readouterr().err
    # The same in one file.
    assert main([*command[:3], "-o", str(tmp_path / "one.ecsv"), "--no-progress"]) == 0
    assert (QTable.read(tmp_path / "one.ecsv")["class"] == table["class"]).all()


def test_wrong_usage(tiles, sources, tmp_path, capsys, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the work has started")

    monkeypatch.setattr(astrodlkit.classify, "classify_cutouts", refuse)
    catalog = tmp_path / "sources.ecsv"
    sources.write(catalog)
    for extra in (["--overwrite"], ["--gallery", "a.png"]):
        with pytest.raises(SystemExit):
            main(["classify", str(tiles), str(catalog), "-o", f"{tmp_path}/out/", *extra])
        assert "need a table as OUT, not a folder" in capsys.readouterr().err
