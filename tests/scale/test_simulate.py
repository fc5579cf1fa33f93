"""Galaxies drawn partition by partition are those of one process, bit for bit."""

from itertools import pairwise

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from numpy.testing import assert_array_equal

from astrodlkit import Cutouts, Flag, load_model
from astrodlkit.exceptions import MissingDependencyError, WeightsError
from astrodlkit.galaxies import NoiseModel
from astrodlkit.scale import simulate_galaxies
from astrodlkit.scale._models import ModelName, load_simulator

pytest.importorskip("galsim")
pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")

# In this process, whatever cluster the tests of other files have started.
pytestmark = pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler")

N = 90
ADDED = ["stamp_file", "stamp_row", "flags"]
OPTIONS = {
    "psf": 0.7 * u.arcsec,
    "pixel_scale": 0.2 * u.arcsec,
    "shape": 16,
    "bands": ("g", "r"),
    "noise": NoiseModel(background_rms=2 * u.nJy),
    "rng": 3,
}
UNITS = {"half_light_radius": "arcsec"}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(N) * 7,
            "mag": rng.uniform(20, 24, N),
            "half_light_radius": rng.uniform(0.3, 1, N),
            "ra": rng.uniform(10, 11, N),
            "dec": rng.uniform(-5, -4, N),
            "class": ["edge_on", None, ""] * (N // 3),
        }
    )
    frame.loc[40, "mag"] = np.nan
    return frame


@pytest.fixture(scope="module")
def wanted(frame, simulator):
    return one_process(frame, simulator)


def one_process(frame, simulator):
    table = QTable.from_pandas(frame.assign(**{"class": frame["class"].fillna("")}))
    table["half_light_radius"].unit = "arcsec"
    return load_model(simulator, device="cpu").simulate(table, **OPTIONS)


def check(result, frame, wanted):
    """Every row is where the result says it is."""
    assert result["id"].tolist() == frame["id"].tolist()
    assert list(result.columns) == [*frame.columns, *ADDED]
    files = result["stamp_file"].drop_duplicates()
    parts = [Cutouts.read(path) for path in files]
    lengths = result.groupby("stamp_file", sort=False).size()
    assert [len(part) for part in parts] == lengths.tolist()
    assert result["stamp_row"].tolist() == [i for n in lengths for i in range(n)]
    stamps = Cutouts.concatenate(parts)
    for name in ("data", "mask", "variance", "flags"):
        assert_array_equal(getattr(stamps, name), getattr(wanted, name))
    assert_array_equal(result["flags"], wanted.flags)
    assert (stamps.positions.separation(wanted.positions) < 1 * u.uas).all()


def split(frame, *starts):
    """A data frame whose partitions have lengths that Dask does not know."""
    edges = [0, *starts, len(frame)]
    pieces = [frame.iloc[a:b] for a, b in pairwise(edges)]
    return dd.concat([dd.from_pandas(piece, npartitions=1) for piece in pieces])


@pytest.mark.parametrize("suffix", [".fits", ".h5", ".zarr"])
def test_same_as_one_process(frame, simulator, wanted, tmp_path, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    lazy = simulate_galaxies(
        split(frame, 11, 50), tmp_path / "out", model=simulator, units=UNITS, suffix=suffix,
        batch_size=20, **OPTIONS,
    )  # fmt: skip
    assert isinstance(lazy, dd.DataFrame)
    assert lazy.npartitions == 3
    assert list(tmp_path.iterdir()) == []
    result = lazy.compute(scheduler="synchronous")
    assert (result.dtypes == lazy.dtypes).all()
    assert result.dtypes[ADDED].astype(str).tolist() == ["string", "int64", "int32"]
    names = [f"part-0000000{i}{suffix}" for i in range(3)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    check(result, frame, wanted)
    assert result["flags"][40] & Flag.NO_RESULT


def test_categories_and_objects(frame, simulator, tmp_path):
    # Dask makes text of objects by default.
    texts = frame.assign(axis_ratio=["0.5", None, "0.8"] * (N // 3))
    with pytest.raises((TypeError, ValueError), match="axis_ratio"):
        simulate_galaxies(split(texts, 11), tmp_path, model=simulator, units=UNITS, **OPTIONS)
    kinds = frame.assign(axis_ratio=[0.5, None, 0.8] * (N // 3))
    wanted = one_process(kinds, simulator)
    kinds["class"] = kinds["class"].where(kinds["class"] != "", None).astype("category")
    kinds["axis_ratio"] = (
        kinds["axis_ratio"].astype(object).where(kinds["axis_ratio"].notna(), None)
    )
    with dask.config.set({"dataframe.convert-string": False}):
        pieces = split(kinds, 11)
        lazy = simulate_galaxies(pieces, tmp_path, model=simulator, units=UNITS, **OPTIONS)
        result = lazy.compute(scheduler="synchronous")
    parts = [Cutouts.read(path) for path in result["stamp_file"].drop_duplicates()]
    assert_array_equal(Cutouts.concatenate(parts).data, wanted.data)


def test_a_run_goes_on(frame, simulator, wanted, tmp_path):
    pieces = dd.from_pandas(frame, npartitions=3)
    lazy = simulate_galaxies(pieces, tmp_path, model=simulator, units=UNITS, **OPTIONS)
    lazy.partitions[1].compute(scheduler="synchronous")
    there = tmp_path / "part-00000001.fits"
    assert list(tmp_path.iterdir()) == [there]
    before = there.stat().st_mtime_ns
    check(lazy.compute(scheduler="synchronous"), frame, wanted)
    assert there.stat().st_mtime_ns == before
    brighter = dd.from_pandas(frame.assign(mag=frame["mag"] - 1), npartitions=3)
    others = ({"rng": 4}, {"shape": 18}, {"table": brighter})
    for other in others:
        options = {"table": pieces} | OPTIONS | other
        lazy = simulate_galaxies(output=tmp_path, model=simulator, units=UNITS, **options)
        with pytest.raises(FileExistsError, match="has stamps of another run"):
            lazy.compute(scheduler="synchronous")


def test_no_rows(frame, simulator, tmp_path):
    for pieces in (split(frame, 0, 5), dd.from_pandas(frame[:0], npartitions=1)):
        folder = tmp_path / str(pieces.npartitions)
        lazy = simulate_galaxies(pieces, folder, model=simulator, units=UNITS, **OPTIONS)
        result = lazy.compute(scheduler="synchronous")
        assert (result.dtypes == lazy.dtypes).all()
        assert len(Cutouts.read(folder / "part-00000000.fits")) == 0
        assert len(list(folder.iterdir())) == pieces.npartitions


def test_bad_input(frame, simulator, tmp_path, monkeypatch):
    lazy = dd.from_pandas(frame, npartitions=2)

    def refuses(match, error=ValueError, table=lazy, **options):
        given = {"model": simulator, "units": UNITS} | OPTIONS | options
        with pytest.raises(error, match=match):
            simulate_galaxies(table, tmp_path / "out", **given)
        assert not (tmp_path / "out").exists()

    refuses("takes what is in memory", TypeError, table=frame)
    refuses("model must be a name or a path", TypeError, model=[simulator])
    refuses("for the task 'simulate', got 'classify'", model="galaxyzoo2")
    refuses("threads must be", threads=0)
    refuses("batch_size must be", batch_size=0)
    refuses("suffix must be one of .fits", suffix=".png")
    refuses("units has", units={"width": "arcsec"})
    refuses("has no unit", TypeError, units=None)
    refuses("names of the result's: \\['flags'\\]", table=lazy.assign(flags=0))
    refuses("no column 'half_light", table=lazy.drop(columns=["half_light_radius"]), units=None)
    refuses("rng must be", TypeError, rng="a")
    with pytest.raises(WeightsError, match="is another one here"):
        load_simulator(ModelName(str(simulator), "0" * 64), device="cpu")
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    refuses(r"astrodlkit\[scale\]", MissingDependencyError)


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed(frame, simulator, wanted, compute_and_kill, tmp_path):
    lazy = simulate_galaxies(
        dd.from_pandas(frame, npartitions=15), tmp_path, model=simulator, units=UNITS, **OPTIONS
    )
    check(pd.concat(compute_and_kill(lazy, after=4)), frame, wanted)
    assert len(list(tmp_path.glob("part-*"))) == 15


# What LSDB and nested-pandas ask of pandas, which is about to change.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The 'mode.chained_assignment' option is deprecated")
@pytest.mark.filterwarnings("ignore:The inplace keyword in NestedFrame")
def test_a_catalogue_of_lsdb(frame, simulator, tmp_path):
    """As the documentation has it: through to_dask_dataframe()."""
    lsdb = pytest.importorskip("lsdb")
    catalogue = lsdb.from_dataframe(
        frame, ra_column="ra", dec_column="dec", partition_rows=30, highest_order=9
    )
    pieces = catalogue.to_dask_dataframe()
    assert pieces.npartitions > 2
    lazy = simulate_galaxies(pieces, tmp_path, model=simulator, units=UNITS, **OPTIONS)
    assert lazy.npartitions == pieces.npartitions
    result = lazy.compute(scheduler="synchronous")
    assert (result.dtypes == lazy.dtypes).all()
    # In the order of the sky.
    rows = pieces.compute(scheduler="synchronous")
    assert sorted(rows["id"]) == frame["id"].tolist() != rows["id"].tolist()
    check(result, rows, one_process(pd.DataFrame(rows).reset_index(drop=True), simulator))
