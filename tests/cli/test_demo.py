"""The demo, as a user runs it."""

from time import perf_counter

import numpy as np
import pytest
from astropy.table import QTable

from astrodlkit.cli import main


@pytest.mark.slow
def test_demo(tmp_path, capsys):
    start = perf_counter()
    assert main(["demo", "--output", str(tmp_path / "new" / "demo"), "--no-progress"]) == 0
    assert perf_counter() - start < 60

    folder = tmp_path / "new" / "demo"
    assert sorted(path.name for path in folder.iterdir()) == ["galaxies.ecsv", "gallery.png"]
    result = QTable.read(folder / "galaxies.ecsv")
    assert len(result) > 100
    assert len(set(result["class"])) >= 3
    classified = ~np.ma.getmaskarray(np.ma.asarray(result["class"]))
    assert np.mean(np.isfinite(result["class_probability"][classified])) == 1
    words = capsys.readouterr().out
    assert f"{len(result)} sources: " in words
    assert str(folder / "galaxies.ecsv") in words
    assert str(folder / "gallery.png") in words

    assert main(["demo", "--output", str(folder)]) == 1
    assert "--overwrite" in capsys.readouterr().err
