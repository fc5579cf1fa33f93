"""Classification of what Dask holds in pieces, in this process."""

import subprocess
import sys
from dataclasses import fields
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag, decode_flags
from astrodlkit import classify_cutouts as in_memory
from astrodlkit.cutouts import TileIndex
from astrodlkit.exceptions import MissingDependencyError, WeightsError
from astrodlkit.scale import classify_cutouts, to_table
from astrodlkit.scale._images import Images, find_images, open_images
from astrodlkit.scale._models import ModelName, find_models, load_predictor
from astrodlkit.scale._partition import Job

pytest.importorskip("distributed")
dd = pytest.importorskip("dask.dataframe")
da = pytest.importorskip("dask.array")
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


def test_nothing_is_computed(frame, tiles, model):
    """Only zero rows are sent through before the result is asked for."""

    def fail(part):
        assert len(part) == 0
        return part

    lazy = dd.from_pandas(frame, npartitions=2).map_partitions(fail, meta=frame.iloc[:0])
    result = classify_cutouts(lazy, tiles, model=model, units=UNITS)
    assert list(result.columns) == [*frame.columns, *ADDED]
    empty = classify_cutouts(
        dd.from_pandas(frame.iloc[:0], npartitions=1), tiles, model=model, units=UNITS
    ).compute()
    assert len(empty) == 0
    assert (empty.dtypes[ADDED] == result.dtypes[ADDED]).all()


def test_the_same_call_has_the_same_name(frame, tiles, model):
    lazy = dd.from_pandas(frame, npartitions=2)
    one, two = (classify_cutouts(lazy, tiles, model=model, units=UNITS) for _ in range(2))
    other = classify_cutouts(lazy, tiles, model=model, units=UNITS, views=2)
    assert one._name == two._name != other._name


def test_views_and_several_models(frame, sources, tiles, model):
    few = frame.iloc[:5]
    lazy = classify_cutouts(
        dd.from_pandas(few, npartitions=1), tiles, model=[model, model], views=2, units=UNITS
    )
    wanted = in_memory(sources[:5], tiles, model=[model, model], views=2, progress=False)
    added = wanted.colnames[len(sources.colnames) :]
    assert list(lazy.columns)[len(few.columns) :] == added
    same(lazy.compute(), wanted, added)


@pytest.mark.parametrize("kind", ["pyarrow", "numpy_nullable"])
def test_types_of_pandas(frame, tiles, model, wanted, kind):
    """Arrow's types, and those with missing entries."""
    typed = frame.convert_dtypes(dtype_backend=kind)
    assert typed["half_light_radius"].isna().sum() == 1
    pieces = dd.from_pandas(typed, npartitions=2)
    result = classify_cutouts(pieces, tiles, model=model, units=UNITS).compute()
    assert (result.dtypes[: len(frame.columns)] == pieces.dtypes).all()
    same(result, wanted)


# Dask calls what pandas 3.1 deprecates.
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index")
def test_coordinates_as_astropy_writes_them(sources, tiles, model, wanted, tmp_path):
    table = QTable({"position": SkyCoord(sources["ra"], sources["dec"])})
    table["half_light_radius"] = sources["half_light_radius"]
    table.write(tmp_path / "sources.parquet")
    lazy = dd.read_parquet(tmp_path / "sources.parquet")
    same(classify_cutouts(lazy, tiles, model=model, units=UNITS).compute(), wanted)


def test_images_as_table_and_paths(frame, tiles, model, wanted):
    lazy = dd.from_pandas(frame, npartitions=2)
    index = TileIndex.read(tiles)
    for images in (index, index.table, str(tiles)):
        result = classify_cutouts(lazy, images, model=str(model), units=UNITS)
        same(result.compute(), wanted)
    files = {band: tiles.parent / f"a-{band}.fits" for band in "gri"}
    result = classify_cutouts(lazy, files, model=model, units=UNITS).compute()
    off = int(Flag.NO_OVERLAP | Flag.PARTIAL_OVERLAP)
    on_it = result["flags"] & off == 0
    same(result[on_it], in_memory_of(frame[on_it], files, model))
    with pytest.raises(TypeError, match="workers open the images themselves"):
        classify_cutouts(lazy, {"g": np.zeros((9, 9))}, model=model, units=UNITS)
    with pytest.raises(TypeError, match="workers open the images themselves"):
        classify_cutouts(lazy, np.zeros((9, 9)), model=model, units=UNITS)


def in_memory_of(frame, data, model):
    table = QTable.from_pandas(frame)
    table["half_light_radius"].unit = "arcsec"
    return in_memory(table, data, model=model, progress=False)


@pytest.mark.parametrize("shape", [(7, 3, 32, 32), (7, 40, 40)])
def test_array(model, shape):
    pixels = np.random.default_rng(4).random(shape).astype("f4")
    array = da.from_array(pixels, chunks=(3, *[-1] * (len(shape) - 2), 16))
    options = {"model": model, "bands": "r" if len(shape) == 3 else ("i", "r", "g")}
    lazy = classify_cutouts(array, units={"cutout": "nmgy / arcsec2"}, **options)
    assert isinstance(lazy, dd.DataFrame)
    assert lazy.divisions == (0, 3, 6, 6)
    result = lazy.compute()
    assert list(result.columns) == ADDED
    assert result.index.tolist() == list(range(7))
    assert (result.dtypes == lazy.dtypes).all()
    cutouts = {"cutout": pixels * u.Unit("nmgy / arcsec2")}
    same(result, in_memory(cutouts, progress=False, **options))


def test_masked_array(model):
    pixels = np.random.default_rng(4).random((5, 3, 16, 16)).astype("f4")
    pixels[2, :, 4, 5], pixels[3] = 1e6, 1e6
    masked = da.ma.masked_greater(da.from_array(pixels, chunks=(2, 3, 16, 8)), 1)
    options = {"model": model, "units": {"cutout": "nmgy / arcsec2"}}
    result = classify_cutouts(masked, **options).compute()
    assert [decode_flags(each) for each in result["flags"][2:4]] == [
        ["masked_pixels"],
        ["masked_pixels", "all_masked", "no_result"],
    ]
    table = QTable({"cutout": pixels * u.Unit("nmgy / arcsec2"), "cutout_mask": pixels > 1})
    same(result, in_memory(table, model=model, progress=False))


def test_array_of_other_kinds(model):
    options = {"model": model, "units": {"cutout": "nmgy / arcsec2"}}
    empty = classify_cutouts(da.zeros((0, 3, 8, 8)), **options)
    assert len(empty.compute()) == 0
    holes = da.concatenate([da.ones((2, 3, 8, 8)), da.ones((0, 3, 8, 8)), da.ones((1, 3, 8, 8))])
    result = classify_cutouts(holes, **options).compute()
    assert result.index.tolist() == [0, 1, 2]
    unknown = da.ones((4, 3, 8, 8), chunks=2)
    unknown = unknown[unknown.sum(axis=(1, 2, 3)) > 0]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        classify_cutouts(unknown, **options)
    for wrong in (da.ones((4, 4)), da.ones((4, 3, 8, 8), dtype=complex)):
        with pytest.raises(ValueError, match="table must have the shape"):
            classify_cutouts(wrong, **options)
    with pytest.raises(ValueError, match="data must be left out"):
        classify_cutouts(da.ones((4, 3, 8, 8)), "image.fits", **options)
    with pytest.raises(ValueError, match="bands must name"):
        classify_cutouts(da.ones((4, 2, 8, 8)), **options)


def test_bad_input(frame, tiles, model):
    lazy = dd.from_pandas(frame, npartitions=2)

    def refuses(match, error=ValueError, table=lazy, data=tiles, **options):
        with pytest.raises(error, match=match):
            classify_cutouts(table, data, **({"model": model, "units": UNITS} | options))

    refuses("takes what is in memory", TypeError, table=frame)
    refuses("data must be given", data=None)
    refuses("views must be", views=3)
    refuses("threads must be", threads=0)
    refuses("precision must be", precision="float16")
    refuses("batch_size must be", batch_size=0)
    refuses("interval must be left out", interval=0.68)
    refuses("bands must name", bands=("z", "r", "g"))
    refuses("put the widths into a column", size=np.ones(len(frame)))
    refuses("units has", units={"width": "arcsec"})
    refuses("has no unit", units=None)
    refuses("must be a name or a path", TypeError, model=object())
    refuses("one or more models", model=[])
    refuses("no model is called", model="galaxyzoo3")
    refuses("names of the result's.*'flags'", table=lazy.assign(flags=0))
    refuses("no columns known as positions", table=lazy.drop(columns=["ra"]))


def test_model_travels_by_name_and_checksum(model):
    names, cards = find_models([model, "galaxyzoo2"])
    assert names[0].name == str(model)
    assert names[1].name == cards[1].full_name == "galaxyzoo2.v1"
    loaded = load_predictor((names[0],), device="cpu")
    assert loaded is load_predictor((names[0],), device="cpu")
    other = ModelName(names[0].name, "0" * 64)
    with pytest.raises(WeightsError, match="all workers need the same"):
        load_predictor((other,), device="cpu")


def test_models_for_another_task(monkeypatch):
    emulator = SimpleNamespace(task="emulate")
    monkeypatch.setattr("astrodlkit.scale._models.describe_model", lambda name: emulator)
    with pytest.raises(ValueError, match="for the task 'classify', got 'emulate'"):
        find_models("web")


def test_index_is_the_same(tiles, tmp_path):
    path = tmp_path / "tiles.parquet"
    table = TileIndex.read(tiles).table
    table.write(path)
    images = find_images(path)
    assert isinstance(open_images(images), TileIndex)
    assert open_images(images) is open_images(find_images(path))
    table[:6].write(path, overwrite=True)
    with pytest.raises(ValueError, match="another one than where the call was made"):
        open_images(Images(images.source, "0" * 64))


def test_threads(frame, tiles, model):
    """A piece has the threads that it is to have, and all others as many as before."""
    before = torch.get_num_threads()
    job = Job((), (), None, {}, None, {"precision": "float32"}, "cpu", before + 1)
    seen = []

    class Fake(Job):
        def _predict(self, table, data):
            seen.append(torch.get_num_threads())
            return table

    fake = Fake(**{field.name: getattr(job, field.name) for field in fields(job)})
    fake.predict(None)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_table(frame, tiles, model, wanted, sources):
    lazy = classify_cutouts(dd.from_pandas(frame, npartitions=2), tiles, model=model, units=UNITS)
    result = lazy.compute()
    table = to_table(result, model=model, units=UNITS)
    assert table.colnames == list(result.columns)
    for name in ("radius", "ratio", "class", "flags"):
        assert table[name].unit == wanted[name].unit
        assert table[name].info.description == wanted[name].info.description
    assert table["half_light_radius"].unit == u.arcsec
    assert table["radius"].dtype == np.float32
    assert table.meta["astrodlkit"]["model"] == "small.v1"
    assert len(table.meta["astrodlkit"]["sha256"]) == 64
    with pytest.raises(TypeError, match="computed first"):
        to_table(lazy, model=model)
    with pytest.raises(ValueError, match="units has"):
        to_table(result, model=model, units={"width": "m"})


def test_table_of_other_columns(model):
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype="Int32"),
            "text": ["a", None],
            "thing": [{}, []],
            "day": pd.to_datetime(["2026-01-01", "2026-01-02"]),
            "fine": [True, False],
            "sure": pd.array([True, None], dtype="boolean"),
            "seen": pd.array([True, None], dtype="bool[pyarrow]"),
            "size": pd.array([1.0, None], dtype="double[pyarrow]"),
        },
        index=pd.Index([5, 6], name="id"),
    )
    table = to_table(frame, model=model, units={"size": "arcsec"})
    assert table.colnames == ["id", *frame.columns]
    assert table["n"].dtype == np.int32
    assert table["n"].mask.tolist() == [False, True]
    assert table["text"].mask.tolist() == [False, True]
    assert table["thing"].dtype == object
    assert table["day"].dtype.kind == "M"
    assert table["fine"].dtype == bool
    for name in ("sure", "seen"):
        assert table[name].dtype == bool
        assert table[name].mask.tolist() == [False, True]
    assert table["size"].unit == u.arcsec
    assert table["size"].mask.tolist() == [False, True]
    assert len(to_table(frame[:0], model=model)) == 0


@pytest.mark.parametrize("missing", ["pandas", "dask.dataframe", "distributed"])
def test_without_the_extra(frame, tiles, model, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependencyError, match=r"astrodlkit\[scale\]"):
        classify_cutouts(frame, tiles, model=model)


def test_import_is_light():
    code = "import sys, astrodlkit.scale; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"dask.dataframe", "distributed", "pandas", "lsdb"} & set(loaded)
