"""A folder of parts: whole or not there, the same bytes however often a run is stopped."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable
from astropy.utils.masked import Masked

from astrodlkit.engine import TableParts, write_durably, write_parts
from astrodlkit.engine._parts import MANIFEST

pytest.importorskip("pyarrow")
pytest.importorskip("pandas")

# Kills runs in one folder: after some parts, and some moments more. All in one process, which
# has everything loaded.
KILLS = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
import pandas, pyarrow.parquet
from astropy.table import QTable
from astrodlkit.engine import write_parts

def make(start, stop, advance):
    time.sleep(0.01)
    return QTable({"row": np.arange(start, stop), "noise": np.sin(np.arange(start, stop) * 1e5)})

def run(folder, kill_after=None):
    child = os.fork()
    if child == 0:
        write_parts(folder, {"model": "m"}, 100, make, part_size=5)
        os._exit(0)
    if kill_after is not None:
        while len(list(folder.glob("part-*.parquet"))) < kill_after:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status == 0 or (kill_after is not None and status == signal.SIGKILL), status

for seed in range(4):
    random.seed(seed)
    out = Path(sys.argv[1], f"out{seed}")
    for kill_after in sorted(random.sample(range(18), 4)):
        run(out, kill_after)
        for path in out.glob("part-*.parquet"):
            # Whole, or not there. Without pyarrow, whose threads a fork would not survive.
            assert path.read_bytes()[-4:] == b"PAR1"
    run(out)
run(Path(sys.argv[1], "whole"))
"""


def rows(start, stop, advance=None):
    """A table whose every row follows from its number."""
    number = np.arange(start, stop)
    table = QTable(
        {
            "row": Column(number, description="number of the row"),
            "radius": number * u.arcsec,
            "place": SkyCoord(number, number / 10, unit="deg"),
            "name": [f"source {i:04d}" for i in number],
            "count": MaskedColumn(number, mask=number == 3),
            "size": Masked(number * 1.0 << u.kpc, mask=number == 5),
            "pair": np.stack([number, -number], axis=1).reshape(-1, 2),
        },
        meta={"astrodlkit": {"model": "m"}, "notes": ["a", "b"]},
    )
    if advance is not None:
        advance(stop - start)
    return table


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_what_is_kept(tmp_path):
    parts = write_parts(tmp_path / "out", {"model": "m"}, 10, rows, part_size=4)
    assert parts.complete
    assert len(parts) == 10
    assert [len(part) for part in parts] == [4, 4, 2]
    table = parts.read()
    wanted = rows(0, 10)
    assert table.colnames == wanted.colnames
    assert table.meta == wanted.meta
    assert table["row"].description == "number of the row"
    assert table["radius"].unit == u.arcsec
    for name in ("row", "name", "radius", "pair"):
        assert (table[name] == wanted[name]).all()
    assert (table["place"].separation(wanted["place"]) == 0).all()
    assert table["count"].mask.tolist() == wanted["count"].mask.tolist()
    assert table["size"].mask.tolist() == wanted["size"].mask.tolist()
    assert parts.read(["row", "place"]).colnames == ["row", "place"]
    # The same through the folder alone.
    assert len(TableParts(tmp_path / "out").read("row")) == 10


def test_one_data_set_for_others(tmp_path):
    import pandas as pd
    from pyarrow import dataset

    write_parts(tmp_path, {}, 10, rows, part_size=4)
    frame = pd.read_parquet(tmp_path)
    assert frame["row"].tolist() == list(range(10))
    # A mask has its column in every part, also where nothing is masked.
    schemas = {
        tuple(fragment.physical_schema.names)
        for fragment in dataset.dataset(tmp_path, format="parquet").get_fragments()
    }
    assert len(schemas) == 1
    assert frame["count.mask"].tolist() == [i == 3 for i in range(10)]


@pytest.mark.filterwarnings("ignore")  # Dask uses what pandas is to drop
def test_dask_reads_it(tmp_path):
    dataframe = pytest.importorskip("dask.dataframe")

    write_parts(tmp_path, {}, 10, rows, part_size=4)
    frame = dataframe.read_parquet(tmp_path, columns=["row", "radius"])
    assert frame["row"].sum().compute(scheduler="sync") == 45


def test_no_rows(tmp_path):
    parts = write_parts(tmp_path, {}, 0, rows, part_size=4)
    assert len(parts.paths) == 1
    assert len(parts) == 0
    assert parts.read().colnames == rows(0, 0).colnames


def test_goes_on(tmp_path):
    def broken(start, stop, advance):
        if start == 8:
            raise KeyboardInterrupt
        return rows(start, stop)

    write_parts(tmp_path / "whole", {"a": 1}, 10, rows, part_size=2)
    with pytest.raises(KeyboardInterrupt):
        write_parts(tmp_path / "out", {"a": 1}, 10, broken, part_size=2)
    parts = TableParts(tmp_path / "out")
    assert (len(parts), parts.complete) == (8, False)
    assert repr(parts).startswith("<TableParts: 8 rows, 4 of 5 parts in ")
    made, steps = [], []

    def counted(start, stop, advance):
        made.append(start)
        return rows(start, stop, advance)

    write_parts(
        tmp_path / "out",
        {"a": 1},
        10,
        counted,
        part_size=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert made == [8]
    assert steps == [(2, 10), (4, 10), (6, 10), (8, 10), (10, 10)]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_part_that_is_no_part_is_made_again(tmp_path):
    write_parts(tmp_path, {}, 10, rows, part_size=4)
    before = contents(tmp_path)
    (tmp_path / "part-00000001.parquet").write_bytes(b"PAR1")
    (tmp_path / "part-00000002.parquet").unlink()
    write_parts(tmp_path, {}, 10, rows, part_size=4)
    assert contents(tmp_path) == before
    # The end of the file says how long what describes it is.
    path = tmp_path / "part-00000001.parquet"
    whole = path.read_bytes()
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    path.write_bytes(whole[:start] + b"\xff" * 50 + whole[start + 50 :])
    write_parts(tmp_path, {}, 10, rows, part_size=4)
    assert contents(tmp_path) == before


def test_another_run_is_refused(tmp_path):
    write_parts(tmp_path, {"model": "a", "settings": {"views": 1}}, 4, rows, part_size=4)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"model: 'a' there, 'b' now; settings.views: 1 there, 2"):
        write_parts(tmp_path, {"model": "b", "settings": {"views": 2}}, 4, rows, part_size=4)
    with pytest.raises(ValueError, match=r"rows: 4 there, 5 now; part_size: 4 there, 2 now"):
        write_parts(tmp_path, {"model": "a", "settings": {"views": 1}}, 5, rows, part_size=2)
    assert contents(tmp_path) == before


def test_a_manifest_in_any_letters(tmp_path, monkeypatch):
    monkeypatch.setattr("io.text_encoding", lambda encoding, *_: encoding or "ascii")
    for _ in range(2):
        parts = write_parts(tmp_path, {"bands": ["σ"]}, 4, rows, part_size=4)
        assert parts.manifest["bands"] == ["σ"]


def test_a_damaged_manifest_is_named(tmp_path):
    write_parts(tmp_path, {}, 4, rows, part_size=4)
    (tmp_path / MANIFEST).write_text('{"format": 1,')
    for call in (TableParts, lambda path: write_parts(path, {}, 4, rows, part_size=4)):
        with pytest.raises(ValueError, match=f"{MANIFEST} is damaged: .*; give another folder"):
            call(tmp_path)


def test_folders_that_are_not_ours(tmp_path):
    (tmp_path / "mine.txt").write_text("important")
    with pytest.raises(FileExistsError, match=f"is not empty and has no {MANIFEST}"):
        write_parts(tmp_path, {}, 4, rows, part_size=4)
    with pytest.raises(FileExistsError, match="must be a folder"):
        write_parts(tmp_path / "mine.txt", {}, 4, rows, part_size=4)
    with pytest.raises(FileNotFoundError, match="no folder of results"):
        TableParts(tmp_path)
    with pytest.raises(ValueError, match="has no part yet"):
        write_manifest_only(tmp_path / "new").read()
    assert (tmp_path / "mine.txt").read_text() == "important"


def write_manifest_only(folder):
    def stop(start, stop, advance):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_parts(folder, {}, 4, stop, part_size=4)
    return TableParts(folder)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, None])
def test_part_size(tmp_path, size):
    with pytest.raises(ValueError, match="part_size must be a positive number of rows"):
        write_parts(tmp_path, {}, 4, rows, part_size=size)


def test_full_disk(tmp_path):
    """What cannot be written is not there at all, and the run goes on when there is room."""

    def full(start, stop, advance):
        if start == 4:
            # Python ignores the signal: the write fails as on a full disk.
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        return rows(start, stop)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match=r"too large|No space|Error writing"):
            write_parts(tmp_path / "out", {}, 10, full, part_size=4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(contents(tmp_path / "out")) == [MANIFEST, "part-00000000.parquet"]
    write_parts(tmp_path / "out", {}, 10, rows, part_size=4)
    write_parts(tmp_path / "whole", {}, 10, rows, part_size=4)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_disk_that_fails_at_the_last_moment(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    target = tmp_path / "file"
    target.write_text("before")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_durably(target, lambda part: part.write_text("after"))
    assert contents(tmp_path) == {"file": b"before"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no kill -9")
def test_killed_at_any_moment(tmp_path):
    subprocess.run([sys.executable, "-c", KILLS, tmp_path], check=True)
    whole = contents(tmp_path / "whole")
    for seed in range(4):
        assert contents(tmp_path / f"out{seed}") == whole
    assert json.loads(whole[MANIFEST])["rows"] == 100
    assert TableParts(tmp_path / "out0").read()["row"].tolist() == list(range(100))
