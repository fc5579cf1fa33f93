"""Output files: whole or not at all, never over another, and readable again."""

import json
import sys
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse
from astropy.table import QTable
from astropy.time import Time
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit.cli._output import (
    TABLE_FORMATS,
    check_output,
    check_table,
    replace_file,
    write_table,
)
from astrodlkit.exceptions import MissingDependencyError

PROVENANCE = {"model": "galaxyzoo2", "sha256": "0f" * 32, "views": 8, "bands": ["g", "r", "i"]}


@pytest.fixture
def result() -> QTable:
    table = QTable(
        {
            "label": [1, 2],
            "sky_centroid": SkyCoord([10, 11] * u.deg, [-5, 5] * u.deg),
            "kron_flux": [1.5, np.nan] * u.nJy,
            "class": np.array(["spiral", ""]),
            "class_probability": np.array([0.75, np.nan], dtype=np.float32),
            "flags": np.array([0, 516], dtype=np.int32),
        },
        meta={"astrodlkit": PROVENANCE},
    )
    table["class"].info.description = "likeliest class"
    return table


@pytest.mark.parametrize("suffix", TABLE_FORMATS)
def test_every_format_gives_the_table_back(result, tmp_path, suffix):
    path = tmp_path / f"result{suffix.upper()}"
    write_table(result, path, overwrite=False)
    assert list(tmp_path.iterdir()) == [path]
    again = QTable.read(path, format=TABLE_FORMATS[suffix])
    for name in ("label", "class_probability", "flags"):
        assert_array_equal(np.asarray(again[name]), np.asarray(result[name]))
        assert again[name].dtype.kind == result[name].dtype.kind
    # ECSV and VOTable read the empty string as masked, FITS gives bytes.
    assert [str(name) for name in np.ma.filled(np.ma.asarray(again["class"].astype(str)), "")] == [
        "spiral",
        "",
    ]
    assert_allclose(again["kron_flux"].to_value(u.nJy), [1.5, np.nan])
    assert again["class"].info.description == "likeliest class"
    if TABLE_FORMATS[suffix] == "votable":
        assert again.colnames[1:3] == ["sky_centroid_ra", "sky_centroid_dec"]
        assert_allclose(again["sky_centroid_dec"].to_value(u.deg), [-5, 5])
    else:
        assert_allclose(again["sky_centroid"].dec.deg, [-5, 5])


@pytest.mark.parametrize("suffix", TABLE_FORMATS)
def test_every_format_keeps_the_provenance(result, tmp_path, suffix):
    path = tmp_path / f"result{suffix}"
    write_table(result, path, overwrite=False)
    meta = QTable.read(path, format=TABLE_FORMATS[suffix]).meta
    if TABLE_FORMATS[suffix] == "fits":
        # FITS cuts a long comment into cards.
        meta = {"astrodlkit": json.loads("".join(meta["comments"]).removeprefix("astrodlkit "))}
    elif TABLE_FORMATS[suffix] == "votable":
        (info,) = parse(path).resources[0].infos
        assert info.name == "astrodlkit"
        meta = {"astrodlkit": json.loads(info.value)}
    assert meta["astrodlkit"] == PROVENANCE
    assert result.meta == {"astrodlkit": PROVENANCE}


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".parquet", ".vot"])
def test_columns_and_meta_of_all_kinds(result, tmp_path, suffix):
    result["when"] = Time(["2026-01-01", "2026-01-02"])
    result["name"] = np.array(["NGC 1", None], dtype=object)
    result.meta |= {"comments": "in words", "N": np.nan, "S": "é", "L": "two\nlines", 3: "three"}
    if suffix == ".vot":
        del result.meta[3]  # astropy warns of an ID that it makes up
    path = tmp_path / f"result{suffix}"
    check_table(result, path)
    assert list(tmp_path.iterdir()) == []
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*skipping|.*cannot be added")
        write_table(result, path, overwrite=False)
    native = {"astropy_native": True} if suffix == ".fits" else {}
    again = QTable.read(path, format=TABLE_FORMATS[suffix], **native)
    assert str(again["name"][0]) == "NGC 1"
    assert str(np.ma.filled(again["name"], "")[1]) == ""
    if suffix == ".fits":
        comments = again.meta["comments"]
        assert comments[0] == "in words"
        assert {"N NaN", '3 "three"', 'L "two\\nlines"'} <= set(comments)
    when = again["when"]
    assert (Time(list(when)) if suffix == ".vot" else when)[1] == result["when"][1]
    assert result["name"].dtype == object


def test_what_no_format_holds_is_refused_first(result, tmp_path):
    result["thing"] = np.array([{}, {1, 2}], dtype=object)
    with pytest.raises(ValueError, match=r"result\.fits: the catalogue's columns \[.*'thing'"):
        check_table(result, tmp_path / "result.fits")
    assert list(tmp_path.iterdir()) == []


def test_a_table_without_rows_is_written(result, tmp_path):
    write_table(result[:0], tmp_path / "none.fits", overwrite=False)
    again = QTable.read(tmp_path / "none.fits")
    assert len(again) == 0
    assert again.colnames == result.colnames


def test_a_failure_leaves_nothing_behind(tmp_path):
    def half(part: Path) -> None:
        part.write_text("half of a tab")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(tmp_path / "out.ecsv", half, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "out.ecsv"
    path.write_text("precious")

    def half(part: Path) -> None:
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, half, overwrite=True)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "out.ecsv"

    def slow(part: Path) -> None:
        part.write_text("ours")
        path.write_text("theirs")

    with pytest.raises(FileExistsError, match="--overwrite"):
        replace_file(path, slow, overwrite=False)
    assert path.read_text() == "theirs"


def test_check_output(tmp_path, monkeypatch):
    suffixes = tuple(TABLE_FORMATS)
    (tmp_path / "old.ecsv").touch()
    (tmp_path / "folder.fits").mkdir()
    check_output(tmp_path / "new.ecsv", suffixes, overwrite=False)
    check_output(tmp_path / "old.ecsv", suffixes, overwrite=True)
    with pytest.raises(FileExistsError, match=r"old\.ecsv exists; --overwrite replaces it"):
        check_output(tmp_path / "old.ecsv", suffixes, overwrite=False)
    with pytest.raises(IsADirectoryError, match=r"folder\.fits is a folder"):
        check_output(tmp_path / "folder.fits", suffixes, overwrite=True)
    with pytest.raises(ValueError, match=r"must end in one of \.ecsv"):
        check_output(tmp_path / "new.csv", suffixes, overwrite=False)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        check_output(tmp_path / "nowhere" / "new.fits", suffixes, overwrite=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"astrodlkit\[parquet\]"):
        check_output(tmp_path / "new.parquet", suffixes, overwrite=False)
