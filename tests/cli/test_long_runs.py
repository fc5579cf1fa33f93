"""The command: an index of images, and results in a folder."""

import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from numpy.testing import assert_allclose

import astrodlkit
import astrodlkit.classify
from astrodlkit.cli import main
from astrodlkit.cutouts import TileIndex
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


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".vot"])
def test_an_index_in_another_format(suffix, frames, tiles, sources, tmp_path):
    catalog, index = tmp_path / "sources.ecsv", tmp_path / f"tiles{suffix}"
    sources.write(catalog)
    bands = [f"--band={band}={band}.fits" for band in "gri"]
    folder = str(frames[0].parent)
    assert main(["index", folder, "-o", str(index), *bands, "--no-progress"]) == 0
    found = []
    for each in (tiles, index):
        out = each.with_name(f"{each.suffix[1:]}-result.ecsv")
        command = ["classify", str(each), str(catalog), "-o", str(out), "--no-progress"]
        assert main(command) == 0
        found.append(QTable.read(out)["class_probability"])
    assert_allclose(*found)


def test_wrong_usage(tiles, sources, tmp_path, capsys, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the work has started")

    monkeypatch.setattr(astrodlkit.classify, "classify_cutouts", refuse)
    catalog = tmp_path / "sources.ecsv"
    sources.write(catalog)
    command = ["classify", str(tiles), str(catalog), "-o"]
    (tmp_path / "there").mkdir()
    for extra in (["--overwrite"], ["--gallery", "a.png"]):
        for out in ("out/", "there"):
            with pytest.raises(SystemExit):
                main([*command, f"{tmp_path}/{out}", *extra])
            assert "need a table as OUT, not a folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, f"{tmp_path}/out.ecsv", "--part-size", "3"])
    assert "--part-size needs a folder as OUT" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, f"{tmp_path}/out/", "--part-size", "0"])
    assert "must be 1 or more" in capsys.readouterr().err
    assert main([*command, f"{tmp_path}/out"]) == 1
    assert "or in / for a folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, f"{tmp_path}/out/", "--bands", "r,z"])
    assert "--bands r,z: the index of images has g, i, r" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["classify", str(tiles), "-o", f"{tmp_path}/out.ecsv"])
    assert "an index of images needs a catalogue" in capsys.readouterr().err


def test_a_folder_that_is_there(tiles, sources, tmp_path):
    """Is one without the slash too, so that a run that was stopped goes on."""
    catalog, out = tmp_path / "sources.parquet", tmp_path / "results"
    sources.write(catalog)
    command = ["classify", str(tiles), str(catalog), "--part-size", "3", "--no-progress", "-o"]
    assert main([*command, f"{out}/"]) == 0
    parts = TableParts(out)
    assert [len(part) for part in parts] == [3, 1]
    parts.paths[1].unlink()
    assert main([*command, str(out)]) == 0
    assert [len(part) for part in parts] == [3, 1]


def test_bands_of_an_index(tiles, sources, tmp_path):
    """As of images: one for all colours, or those that the model knows by name."""
    catalog = tmp_path / "sources.ecsv"
    sources.write(catalog)
    for bands, wanted in (("r", "r"), ("g,r,i", None)):
        out, png = tmp_path / f"{bands}.ecsv", tmp_path / f"{bands}.png"
        command = ["classify", str(tiles), str(catalog), "--bands", bands, "--no-progress"]
        assert main([*command, "-o", str(out), "--gallery", str(png)]) == 0
        result = astrodlkit.classify_cutouts(sources, tiles, bands=wanted)
        assert_allclose(
            QTable.read(out)["class_probability"], result["class_probability"], atol=1e-6
        )
        assert png.exists()
    # An index without bands has one.
    index = Table.read(tiles)[:1]
    del index["band"]
    index.write(tmp_path / "one.parquet")
    assert TileIndex.read(tmp_path / "one.parquet").bands == ("image",)
    command = ["classify", str(tmp_path / "one.parquet"), str(catalog), "--no-progress"]
    assert main([*command, "--bands", "image", "-o", str(tmp_path / "one.ecsv")]) == 0


@pytest.mark.parametrize("name", ["last", "--catalog"])
def test_a_folder_of_catalogues(tiles, sources, tmp_path, name):
    folder = tmp_path / "sources"
    folder.mkdir()
    sources[:3].write(folder / "a.parquet")
    sources[3:].write(folder / "b.parquet")
    catalog = [str(folder)] if name == "last" else ["--catalog", str(folder)]
    command = ["classify", str(tiles), *catalog, "--no-progress", "-o"]
    assert main([*command, f"{tmp_path}/results/"]) == 0
    table = TableParts(tmp_path / "results").read()
    assert table["name"].tolist() == sources["name"].tolist()
    assert main([*command, str(tmp_path / "one.ecsv")]) == 0
    one = QTable.read(tmp_path / "one.ecsv")
    assert (one["class"] == table["class"]).all()
    assert one["petroR90"].unit == sources["petroR90"].unit


def test_folders_that_are_refused(frames, tiles, tmp_path, capsys):
    capsys.readouterr()
    for empty in (frames[0].parent, tmp_path / "none"):
        code = main(["classify", str(tiles), str(empty), "-o", str(tmp_path / "b.ecsv")])
        assert code == 1
        words = "holds no Parquet files" if empty.is_dir() else "there is no such file"
        assert words in capsys.readouterr().err
    # A folder of images is no image.
    code = main(["classify", str(tmp_path), str(frames[0]), "-o", str(tmp_path / "b.ecsv")])
    assert code == 1
    assert "is a folder; 'astrodlkit index'" in capsys.readouterr().err
