"""Classification of what Dask holds in pieces, in this process."""

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag
from astrodlkit import classify_cutouts as in_memory
from astrodlkit.scale import classify_cutouts

dd = pytest.importorskip("dask.dataframe")
da = pytest.importorskip("dask.array")
pytest.importorskip("distributed")
pd = pytest.importorskip("pandas")

UNITS = {"half_light_radius": "arcsec"}
ADDED = [
    "class",
    "class_probability",
    "radius",
    "ratio",
    "flags",
]


@pytest.fixture(scope="module")
def wanted(sources, tiles, model):
    return in_memory(sources, tiles, model=model, progress=False)


def same(frame, table, names=ADDED):
    assert len(frame) == len(table)
    for name in names:
        found = frame[name].to_numpy()
        if table[name].dtype.kind == "f":
            assert_allclose(found, u.Quantity(table[name]).value, atol=2e-6)
        else:
            assert_array_equal(found, np.asarray(table[name]))


def test_frame(frame, tiles, model, wanted):
    lazy = classify_cutouts(dd.from_pandas(frame, npartitions=4), tiles, model=model, units=UNITS)
    assert isinstance(lazy, dd.DataFrame)
    assert lazy.npartitions == 4
    result = lazy.compute()
    assert list(result.columns) == [*frame.columns, *ADDED]
    assert (result.dtypes == lazy.dtypes).all()
    assert result.dtypes[ADDED].astype(str).tolist() == [
        "string",
        "float32",
        "float32",
        "float32",
        "int32",
    ]
    own = ["id", "ra", "half_light_radius"]
    pd.testing.assert_frame_equal(result[own], frame[own])
    same(result, wanted)
    assert result["flags"][7] & Flag.NO_OVERLAP
    assert result["flags"][11] & Flag.INVALID_SIZE
    assert_array_equal(result["class"].to_numpy() == "", np.isin(np.arange(len(frame)), [7, 11]))
