"""Two worker processes: the same values as in one, also if one of them is killed."""

import os
import platform
import signal
from time import monotonic, sleep

import numpy as np
import pytest
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


def test_a_worker_is_killed(client, many, tiles, model):
    """Every row once, none lost."""
    lazy = classify_cutouts(dd.from_pandas(many, npartitions=20), tiles, model=model, units=UNITS)
    future = client.compute(lazy)
    # A lambda travels itself: workers need not find this file.
    done = lambda dask_worker: len(dask_worker.data)  # noqa: E731
    wait_for(lambda: sum(client.run(done).values()) > 5)
    victim = next(iter(client.run(os.getpid).values()))
    os.kill(victim, signal.SIGKILL)
    check(future.result(timeout=PATIENCE), one_process(many, tiles, model))
    assert victim not in client.run(os.getpid).values()


def wait_for(condition, seconds=PATIENCE):
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end
        sleep(0.02)


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
