"""Two worker processes: the same values as in one, also if one of them is killed."""

import platform
import shutil

import numpy as np
import pytest
import torch
from astropy.table import QTable

from astrodlkit import classify_cutouts as in_memory
from astrodlkit.scale import classify_cutouts
from astrodlkit.scale._allocator import keep_freed_memory

pytest.importorskip("distributed")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")

# Two processes that import torch, on a machine that may be busy.
pytestmark = pytest.mark.slow
PATIENCE = 600

UNITS = {"half_light_radius": "arcsec"}


@pytest.fixture(scope="module")
def many(frame):
    """Ten times the rows."""
    rows = frame.loc[np.tile(frame.index, 10)].reset_index(drop=True)
    return rows.assign(id=np.arange(len(rows)))


def one_process(frame, tiles, model):
    table = QTable.from_pandas(frame)
    table["half_light_radius"].unit = "arcsec"
    return in_memory(table, tiles, model=model, progress=False)


def check(result, wanted):
    assert result["id"].tolist() == wanted["id"].tolist()
    assert (result["class"] == np.asarray(wanted["class"])).all()
    assert (result["flags"] == np.asarray(wanted["flags"])).all()
    for name in ("class_probability", "radius", "ratio"):
        plain = np.asarray(getattr(wanted[name], "value", wanted[name]))
        np.testing.assert_allclose(result[name], plain, atol=2e-6)


def test_same_as_one_process(client, many, tiles, model):
    lazy = classify_cutouts(dd.from_pandas(many, npartitions=8), tiles, model=model, units=UNITS)
    check(lazy.compute(), one_process(many, tiles, model))


def test_a_worker_is_killed(many, tiles, model, compute_and_kill):
    """Every row once, none lost."""
    lazy = classify_cutouts(dd.from_pandas(many, npartitions=30), tiles, model=model, units=UNITS)
    check(pd.concat(compute_and_kill(lazy, after=6)), one_process(many, tiles, model))


def spies():
    """Two functions for workers, which find no tests: what is made here travels itself."""

    def watch(dask_worker):
        import threading
        import time

        import torch

        from astrodlkit.classify import _predictor
        from astrodlkit.scale import _models

        load, run = _models.load_model, _predictor.run_batches
        dask_worker.loads, dask_worker.pieces = [], []

        def slow_load(name, **options):
            dask_worker.loads.append(name)
            time.sleep(0.5)  # all threads of the worker come meanwhile
            return load(name, **options)

        def watched_run(forward, *args, **options):
            piece = [(threading.get_ident(), torch.get_num_threads())]
            dask_worker.pieces.append(piece)

            def watched_forward(images):
                piece.append((threading.get_ident(), torch.get_num_threads()))
                return forward(images)

            return run(watched_forward, *args, **options)

        def undo():
            _models.load_model, _predictor.run_batches = load, run

        _models.load_model, _predictor.run_batches = slow_load, watched_run
        dask_worker.undo = undo

    def report(dask_worker):
        import torch

        dask_worker.undo()
        return dask_worker.loads, dask_worker.pieces, torch.get_num_threads()

    return watch, report


@pytest.fixture
def copy(model, tmp_path):
    """The model under a path that the workers have not seen."""
    return shutil.copytree(model, tmp_path / "model")


@pytest.mark.parametrize("case", [("client", 1), ("client", 2), ("several", 2)])
def test_one_model_and_so_many_threads(request, many, tiles, copy, case):
    """Of each worker; not of each piece, nor of each of Dask's threads."""
    client, threads = request.getfixturevalue(case[0]), case[1]
    lazy = classify_cutouts(
        dd.from_pandas(many, npartitions=9), tiles, model=copy, units=UNITS, threads=threads
    )
    usual = set(client.run(torch.get_num_threads).values())
    watch, report = spies()
    client.run(watch)
    try:
        result = client.compute(lazy).result(timeout=PATIENCE)
    finally:
        reports = client.run(report).values()
    check(result, one_process(many, tiles, copy))
    assert [loads for loads, _, _ in reports] == [[str(copy)]] * len(reports)
    pieces = [piece for _, pieces, _ in reports for piece in pieces]
    assert len(pieces) == 9
    for (_, of_piece), *forwards in pieces:
        assert of_piece == threads
        # Images go in pieces of 32, of which there are two or three; each has a thread.
        assert {of_forward for _, of_forward in forwards} == {1}
        assert len({thread for thread, _ in forwards}) <= threads
    assert {left for _, _, left in reports} == usual


def test_workers_keep_freed_memory(client, frame, tiles, model):
    """As Dask's nanny sets the allocator, each tensor is asked of the system anew."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the allocator is another one")
    classify_cutouts(
        dd.from_pandas(frame, npartitions=4), tiles, model=model, units=UNITS
    ).compute()
    assert any(client.run(keep_freed_memory).values())


@pytest.mark.parametrize("threshold", [None, "131072"])
def test_memory_that_the_user_decides(threshold, monkeypatch):
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    if threshold is not None:
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", threshold)
    assert not keep_freed_memory.__wrapped__()
