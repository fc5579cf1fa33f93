"""A catalogue of LSDB, made by hats-import, classified by two worker processes."""

from importlib.util import find_spec

import numpy as np
import pytest
from astropy.table import QTable
from numpy.testing import assert_allclose

from astrodlkit import classify_cutouts as in_memory
from astrodlkit.scale import classify_cutouts, to_table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("lsdb") and find_spec("hats_import") and find_spec("distributed")),
        reason="LSDB is needed, and hats-import",
    ),
    # What LSDB and nested-pandas ask of pandas, which is about to change.
    pytest.mark.filterwarnings("ignore:The 'mode.chained_assignment' option is deprecated"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in NestedFrame"),
]

N = 100_000
UNITS = {"size": "arcsec"}


@pytest.fixture(scope="module")
def rows():
    import pandas as pd

    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "id": np.arange(N),
            "alpha": rng.uniform(148.2, 151.8, N),
            "delta": rng.uniform(0.2, 3.8, N),
            "size": rng.uniform(72, 144, N).astype("f4"),
            "name": [f"source {i}" for i in range(N)],
        }
    )


@pytest.fixture(scope="module")
def catalogue(rows, client, tmp_path_factory):
    import lsdb
    from hats_import.catalog.arguments import ImportArguments
    from hats_import.pipeline import pipeline_with_client

    folder = tmp_path_factory.mktemp("hats")
    paths = []
    for k in range(4):
        paths.append(folder / f"rows{k}.parquet")
        rows[k::4].to_parquet(paths[-1])
    arguments = ImportArguments(
        ra_column="alpha",
        dec_column="delta",
        input_file_list=paths,
        file_reader="parquet",
        output_path=folder,
        output_artifact_name="sources",
        pixel_threshold=N // 10,
        highest_healpix_order=7,
        progress_bar=False,
    )
    pipeline_with_client(arguments, client)
    return lsdb.open_catalog(folder / "sources")


@pytest.fixture(scope="module")
def lazy(catalogue, tiles, model):
    return classify_cutouts(catalogue, tiles, model=model, bands="r", size="size", units=UNITS)


@pytest.fixture(scope="module")
def result(lazy):
    """What undisturbed workers find."""
    return lazy.compute()


def test_every_row_once(rows, catalogue, lazy, result):
    import lsdb

    assert isinstance(lazy, lsdb.catalog.Catalog)
    assert lazy.npartitions == catalogue.npartitions > 8
    types = lazy.dtypes.astype(str)
    assert types["class"] == "string"
    assert types["radius"] == "float32"
    assert types["flags"] == "int32"
    assert (result.dtypes == lazy.dtypes).all()
    assert np.array_equal(np.sort(result["id"].to_numpy()), rows["id"])


def test_values_of_one_process(rows, result, tiles, model):
    table = QTable.from_pandas(rows.rename(columns={"alpha": "ra", "delta": "dec"}))
    table["size"].unit = "arcsec"
    wanted = in_memory(table, tiles, model=model, bands="r", size="size", progress=False)
    found = to_table(result.sort_values("id"), model=model, units=UNITS)
    assert found["radius"].unit == wanted["radius"].unit == "arcsec"
    assert found["radius"].info.description == "half-light radius"
    assert (found["class"] == wanted["class"]).all()
    assert (found["flags"] == wanted["flags"]).all()
    for name in ("class_probability", "radius", "ratio"):
        a, b = (np.asarray(getattr(t[name], "value", t[name])) for t in (found, wanted))
        assert_allclose(a, b, atol=2e-6)


def test_a_worker_is_killed(lazy, result, compute_and_kill):
    """Every row once, none lost, and the same values."""
    import pandas as pd

    again = pd.concat(compute_and_kill(lazy, after=4))
    assert (again.dtypes == result.dtypes).all()
    for name in result.columns:
        if result[name].dtype.kind == "f":
            assert_allclose(again[name], result[name], atol=2e-6)
        else:
            assert (again[name] == result[name]).all()
