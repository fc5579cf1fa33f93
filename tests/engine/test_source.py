"""Rows of tables in memory and in Parquet files, and checksums of what a run is given."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.wcs import WCS

from astrodlkit.cutouts import Cutouts, read_images
from astrodlkit.engine import fingerprint, open_rows


@pytest.fixture
def table():
    n = np.arange(1000)
    return QTable(
        {
            "id": Column(n, description="number"),
            "place": SkyCoord(n / 10, n / 100, unit="deg"),
            "radius": n * u.arcsec,
            "name": [f"{i:d}" for i in n],
        },
        meta={"origin": "test"},
    )


@pytest.mark.parametrize("group", [7, 100, 5000])
def test_parquet_piece_by_piece(table, tmp_path, group):
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    from pyarrow import parquet

    table.write(tmp_path / "one.parquet")
    whole = parquet.read_table(tmp_path / "one.parquet")
    parquet.write_table(whole, tmp_path / "small.parquet", row_group_size=group)
    source = open_rows(tmp_path / "small.parquet")
    assert len(source) == 1000
    for start, stop in ((0, 300), (300, 310), (700, 1000), (5, 6), (5, 5), (0, 1000)):
        part = source.read(start, stop)
        assert part["id"].tolist() == list(range(start, stop))
        assert part["name"].tolist() == [str(i) for i in range(start, stop)]
    assert part["radius"].unit == u.arcsec
    assert isinstance(part["place"], SkyCoord)
    assert part["id"].description == "number"
    assert part.meta == {"origin": "test"}


def test_a_row_group_is_read_in_pieces(tmp_path):
    """A few rows of a file of one group take the memory of a page or two of each column."""
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    from pyarrow import parquet

    columns = {name: np.random.default_rng(1).normal(size=10**6) for name in "ab"}
    parquet.write_table(pa.table(columns), tmp_path / "long.parquet")
    source = open_rows(tmp_path / "long.parquet")
    before = pa.total_allocated_bytes()
    assert np.array_equal(source.read(100, 200)["b"], columns["b"][100:200])
    assert pa.total_allocated_bytes() - before < columns["a"].nbytes
    assert np.array_equal(source.read(0, 10**6)["a"], columns["a"])


def test_files_of_a_folder_that_differ(tmp_path):
    """The first says what columns there are, and of which type."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pd.DataFrame({"ra": [1.0, 2.0], "name": ["a", "b"]}).to_parquet(tmp_path / "0.parquet")
    other = pd.DataFrame({"more": [1], "ra": np.array([3], dtype="f4")})
    other.to_parquet(tmp_path / "1.parquet")
    rows = open_rows(tmp_path).read(0, 3)
    assert rows.colnames == ["ra", "name"]
    assert rows["ra"].tolist() == [1, 2, 3]
    assert rows["ra"].dtype == np.float64
    assert rows["name"].mask.tolist() == [False, False, True]


def test_folder_of_files(table, tmp_path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    for k in range(4):
        table[250 * k : 250 * (k + 1)].write(tmp_path / f"{k}.parquet")
    source = open_rows(str(tmp_path))
    assert source.read(240, 760)["id"].tolist() == list(range(240, 760))
    before = source.fingerprint()
    assert open_rows(tmp_path).fingerprint() == before
    table["radius"][999] = 0.5 * u.arcsec
    table[750:].write(tmp_path / "3.parquet", overwrite=True)
    assert open_rows(tmp_path).fingerprint() != before


def test_files_of_pandas(tmp_path):
    """No units, and what is missing is masked and makes no floats of whole numbers."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"ra": [1.0, 2.0, 3.0], "name": ["a", None, "ccc"]})
    frame["count"] = pd.array([1, None, 3], dtype="Int64")
    frame.to_parquet(tmp_path / "frame.parquet", index=False)
    part = open_rows(tmp_path / "frame.parquet").read(0, 3)
    assert part["ra"].tolist() == [1, 2, 3]
    assert part["count"].dtype == np.int64
    assert part["count"].mask.tolist() == [False, True, False]
    assert part["name"][2] == "ccc"


@pytest.mark.parametrize("kind", ["table", "coordinates", "cutouts", "dict"])
def test_memory(table, kind):
    held = {
        "table": table,
        "coordinates": table["place"],
        "cutouts": Cutouts(np.arange(1000.0)[:, None, None, None]),
        "dict": {"id": np.arange(1000)},
    }[kind]
    rows = open_rows(held)
    assert len(rows) == 1000
    assert len(rows.read(10, 30)) == 20
    assert rows.fingerprint() == open_rows(held).fingerprint()


def test_no_such_file(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(FileNotFoundError):
        open_rows(tmp_path / "missing.parquet")


def test_fingerprints_differ_with_everything(table):
    wcs = WCS(naxis=2)
    image = read_images(np.arange(12.0).reshape(3, 4))["band0"]
    other = table.copy()
    other["radius"] = other["radius"].value * u.arcmin
    named = table.copy()
    named["id"].description = "another"
    noted = table.copy()
    noted.meta["origin"] = "elsewhere"
    things = [
        table,
        table[::-1],
        other,
        named,
        noted,
        table["place"],
        table["place"].fk5,
        image,
        replace(image, scale=2.0),
        replace(image, wcs=wcs),
        replace(image, unit=u.nJy),
        replace(image, mask=np.zeros((3, 4), dtype=bool)),
        Cutouts(np.zeros((2, 1, 3, 3))),
        Cutouts(np.zeros((2, 1, 3, 3)), unit="nJy"),
        np.arange(3),
        np.arange(3) * u.m,
        np.arange(3) * u.s,
        MaskedColumn([0, 1, 2], mask=[0, 0, 1]),
        MaskedColumn([0, 1, 2], mask=[0, 1, 0]),
        Table({"radius": MaskedColumn([0, 1, 2], mask=[0, 0, 1])}),
        Table({"radius": MaskedColumn([0, 1, 2], mask=[0, 1, 0])}),
        {"a": 1},
        {"a": 2},
        ["a", 1],
        [["a"], 1],
        "a1",
        None,
    ]
    assert len({fingerprint(thing) for thing in things}) == len(things)


def test_a_large_array_is_read_in_blocks(monkeypatch):
    from astrodlkit.engine import _fingerprint

    array = np.arange(1000, dtype=">f4").reshape(100, 10)[:, ::2]
    before = fingerprint(array)
    monkeypatch.setattr(_fingerprint, "_BLOCK", 64)
    assert fingerprint(array) == before


def test_no_fingerprint():
    for thing in (object(), np.array([None])):
        with pytest.raises(TypeError, match="cannot be told by a checksum"):
            fingerprint(thing)
