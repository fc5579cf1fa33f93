"""Fine-tuning by several processes: how many there are, and how many steps they take."""

import numpy as np
import pytest
from astropy.table import QTable

from astrodlkit import load_model

pytest.importorskip("lightning.pytorch")

from astrodlkit.training._processes import count_processes

BANDS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("devices", "num_nodes", "n"), [(1, 1, 1), (3, 1, 3), ("auto", 1, 1), ("2", 1, 2), (2, 3, 6)]
)
def test_processes_are_counted(devices, num_nodes, n):
    assert count_processes(devices=devices, num_nodes=num_nodes, accelerator="cpu") == n


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    table = QTable({"cutout": rng.uniform(0, 255, (20, 3, 32, 32))})
    table["kind"] = ["small", "large"] * 10
    return table


@pytest.mark.parametrize(
    ("batch_size", "processes", "expected"),
    # 15 rows to learn from: rows and steps of each process.
    [(4, 1, (4, 3)), (4, 2, (4, 2)), (32, 1, (15, 1)), (12, 2, (8, 1)), (2, 6, (2, 1))],
)
def test_steps_of_several_processes(monkeypatch, table, batch_size, processes, expected):
    from astrodlkit.classify import _fits

    class Stop(Exception):  # noqa: N818
        pass

    def fit(task, batches, *, max_steps, **options):
        found.update(task=task.max_steps, fit=max_steps, rows=batches.batch_size, options=options)
        raise Stop

    found = {}
    rows, steps = expected
    monkeypatch.setattr(_fits, "fit", fit)
    with pytest.raises(Stop):
        load_model("galaxyzoo2", device="cpu").fine_tune(
            table,
            "kind",
            bands=BANDS,
            mode="full",
            validation=np.arange(20) < 5,
            epochs=3,
            batch_size=batch_size,
            devices=processes,
            progress=False,
        )
    assert found["task"] == found["fit"] == 3 * steps
    assert found["rows"] == rows
    assert found["options"]["devices"] == processes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "full", "num_nodes": 2}, "without a folder"),
        ({"mode": "frozen", "num_nodes": 2}, "num_nodes must be 1 with mode='frozen'"),
        ({"mode": "full", "num_nodes": 0}, "num_nodes must be a positive integer, got 0"),
        ({"mode": "full", "num_nodes": 1.5}, "num_nodes must be a positive integer, got 1.5"),
    ],
)
def test_several_machines_need_a_folder(table, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        load_model("galaxyzoo2", device="cpu").fine_tune(table, "kind", bands=BANDS, **options)
