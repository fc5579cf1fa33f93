"""The container: its promises, tables and files."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.table import QTable, Table, vstack
from astropy.utils.masked import Masked
from astropy.wcs import DistortionLookupTable
from numpy.testing import assert_allclose, assert_array_equal

import astrodlkit._optional
from astrodlkit import Flag, extract_cutouts
from astrodlkit.cutouts import Cutouts
from astrodlkit.exceptions import MissingDependencyError

KINDS = ["native", "sip", "resampled", "plain"]
SUFFIXES = [".fits", ".fit", ".fits.gz", ".h5", ".hdf5"]


@pytest.fixture(autouse=True)
def h5py_where_needed(request):
    """Tests of HDF5 need the extra that brings it."""
    params = getattr(request.node, "callspec", None)
    if params and {"hdf5", ".hdf5", ".h5"} & set(map(str, params.params.values())):
        pytest.importorskip("h5py")


@pytest.fixture
def make_cutouts(make_wcs):
    def make_cutouts(kind="native", n=5):
        rng = np.random.default_rng(11)
        wcs = make_wcs(359.999, -30, sip=kind == "sip", shape=(60, 64))
        x, y = rng.uniform(-3, 62, (2, n))
        if kind == "plain":
            return extract_cutouts(rng.normal(size=(60, 64)), {"x": x, "y": y}, (8, 9))
        data = rng.normal(size=(60, 64)).astype(np.float32)
        data[20:25, 30] = np.nan
        image = CCDData(
            data,
            unit=u.nmgy / u.arcsec**2,
            wcs=wcs,
            mask=rng.random(data.shape) < 0.05,
            uncertainty=StdDevUncertainty(np.full(data.shape, 0.5)),
        )
        options = {"pixel_scale": 0.3 * u.arcsec} if kind == "resampled" else {}
        coords = wcs.pixel_to_world(x, y)
        coords = SkyCoord(coords.ra, coords.dec).galactic
        if n:
            coords = SkyCoord(
                np.append(coords.l, np.nan * u.deg),
                np.append(coords.b, np.nan * u.deg),
                frame="galactic",
            )
        return extract_cutouts({"r": image, "g": image}, coords, (8, 9), **options)

    return make_cutouts


def assert_same(ours, others):
    for name in ("data", "mask", "variance", "flags"):
        expected = getattr(others, name)
        if expected is None:
            assert getattr(ours, name) is None
            continue
        assert_array_equal(getattr(ours, name), expected)
        assert getattr(ours, name).dtype == expected.dtype
    assert (ours.unit, ours.bands, ours.meta) == (others.unit, others.bands, others.meta)
    if others.positions is None:
        assert ours.positions is None
        assert ours.pixel_scale is None
        return
    assert ours.positions.frame.name == others.positions.frame.name
    assert_array_equal(ours.positions.spherical.lon, others.positions.spherical.lon)
    assert_allclose(ours.pixel_scale, others.pixel_scale, rtol=1e-12)
    for i in range(len(others)):
        expected = others.image(i, 1).wcs
        if expected is None:
            assert ours.image(i, 1).wcs is None
            continue
        sky = ours.image(i, 1).wcs.pixel_to_world([-3.0, 4.0], [0.0, 7.0])
        assert sky.separation(expected.pixel_to_world([-3.0, 4.0], [0.0, 7.0])).arcsec.max() < 4e-7


@pytest.mark.parametrize("kind", KINDS)
def test_table_round_trip(make_cutouts, kind):
    cutouts = make_cutouts(kind)
    table = cutouts.to_table()
    assert isinstance(table, QTable)
    assert_same(Cutouts.from_table(table), cutouts)
    # Rows may be chosen and tables of one image stacked.
    assert_same(Cutouts.from_table(table[[3, 1]]), cutouts[[3, 1]])
    stacked = Cutouts.from_table(vstack([table[:2], table[2:]]))
    assert_same(stacked, cutouts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", ["ascii.ecsv", "fits", "hdf5"])
def test_table_survives_astropys_own_files(make_cutouts, kind, format, tmp_path):  # noqa: A002
    cutouts = make_cutouts(kind)
    table = cutouts.to_table()
    path = tmp_path / "table"
    more = {"path": "data"} if format == "hdf5" else {}
    if format == "fits" and kind != "plain":
        for name, power in (("cutout", 1), ("cutout_variance", 2)):
            table[name] = table[name].value * u.nJy**power
        cutouts._unit = u.nJy
    table.write(path, format=format, **more, **({"serialize_meta": True} if more else {}))
    assert_same(Cutouts.from_table(QTable.read(path, format=format, **more)), cutouts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("n", [0, 5])
def test_file_round_trip(make_cutouts, kind, suffix, n, tmp_path):
    cutouts = make_cutouts(kind, n)
    cutouts.meta["survey"] = {"name": "it's  ours", "in": "'/data/a'", "depth": [1.5, None]}
    path = tmp_path / f"cutouts.v1{suffix}"
    cutouts.write(path)
    again = Cutouts.read(str(path))
    assert_same(again, cutouts)
    assert again.data.dtype.isnative
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".fits", ".h5"])
def test_file_is_whole_or_not_there(make_cutouts, suffix, tmp_path, monkeypatch):
    cutouts, path = make_cutouts(), tmp_path / f"cutouts{suffix}"
    cutouts[:2].write(path)
    with pytest.raises(OSError, match="overwrite=True"):
        cutouts.write(path)
    assert len(Cutouts.read(path)) == 2

    def fail(self, where, **options):
        where.write_text("half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(QTable, "write", fail)
        with pytest.raises(OSError, match="disk full"):
            cutouts.write(path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    assert len(Cutouts.read(path)) == 2
    cutouts.write(path, overwrite=True)
    assert len(Cutouts.read(path)) == 6


@pytest.mark.parametrize("suffix", [".fits", ".h5"])
def test_damaged_files_are_refused(make_cutouts, suffix, tmp_path):
    path = tmp_path / f"cutouts{suffix}"
    with pytest.raises(FileNotFoundError):
        Cutouts.read(path)
    make_cutouts().write(path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:100], b"", b"not a file of any kind"):
        path.write_bytes(damaged)
        with pytest.raises(OSError, match="damaged or does not hold cutouts"):
            Cutouts.read(path)


def test_files_of_other_kinds(make_cutouts, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"must end in one of .fits, .*got 'a.csv'"):
        make_cutouts().write(tmp_path / "a.csv")
    path = tmp_path / "a.fits"
    Table({"flux": [1.0]}).write(path)
    with pytest.raises(ValueError, match="no column 'cutout', only \\['flux'\\]"):
        Cutouts.read(path)

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(astrodlkit._optional, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"astrodlkit\[hdf5\]"):
        make_cutouts().write(tmp_path / "a.h5")


def test_meta_that_cannot_be_stored(make_cutouts):
    cutouts = make_cutouts()
    cutouts.meta["wcs"] = object()
    with pytest.raises(TypeError, match="JSON types"):
        cutouts.to_table()


def test_rows_of_an_unknown_image_are_refused(make_cutouts, make_wcs):
    first = make_cutouts()
    data = np.zeros((60, 64), np.float32) << first.unit
    other = extract_cutouts(
        {"r": (data, make_wcs(10, 10)), "g": (data, make_wcs(10, 10))},
        SkyCoord([10], [10], unit="deg").galactic,
        (8, 9),
    )
    tables = [first[:2].to_table(), other.to_table()]
    tables[1].meta = tables[0].meta
    del tables[0]["cutout_variance"]
    with pytest.raises(ValueError, match=r"Cutouts\.concatenate"):
        Cutouts.from_table(vstack(tables))
    joined = Cutouts.concatenate([Cutouts.from_table(tables[0]), other])
    for i, part in ((0, first), (2, other)):
        sky = joined.image(i).wcs.pixel_to_world(0, 0)
        assert sky.separation(part.image(0).wcs.pixel_to_world(0, 0)).arcsec < 1e-6
    assert_same(Cutouts.from_table(joined.to_table()), joined)


def test_lookup_tables_travel_but_cannot_be_stored(make_wcs):
    wcs = make_wcs(shape=(60, 64))
    shifts = np.linspace(0, 2, 64 * 60, dtype=np.float32).reshape(60, 64)
    wcs.cpdis1 = DistortionLookupTable(shifts, (1, 1), (1, 1), (1, 1))
    cutouts = extract_cutouts((np.zeros((60, 64)), wcs), wcs.pixel_to_world([30.0], [20.0]), 8)
    ours = cutouts.image(0).wcs.pixel_to_world(2, 3)
    left, bottom = cutouts._grid.origins[0, 0]
    assert ours.separation(wcs.pixel_to_world(left + 2, bottom + 3)).arcsec < 1e-6
    with pytest.raises(ValueError, match=r"distortion lookup tables.*pixel_scale="):
        cutouts.to_table()


@pytest.mark.parametrize("kind", KINDS)
def test_choosing_rows(make_cutouts, kind):
    cutouts = make_cutouts(kind)
    n = len(cutouts)
    for rows, expected in (
        (2, [2]),
        (-1, [n - 1]),
        (np.int64(1), [1]),
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), list(range(n))[::-2]),
        ([3, 0, 3], [3, 0, 3]),
        (np.arange(n) > 2, list(range(3, n))),
        ([], []),
        (np.array([]), []),
    ):
        chosen = cutouts[rows]
        assert len(chosen) == len(expected)
        assert_array_equal(chosen.data, cutouts.data[expected])
        assert_array_equal(chosen.flags, cutouts.flags[expected])
        if chosen.positions is not None:
            assert_array_equal(chosen.positions.l, cutouts.positions.l[expected])
    for rows in (n, [0, n], np.ones(n + 1, dtype=bool)):
        with pytest.raises(IndexError):
            cutouts[rows]
    for rows in ("r", (0, 1)):
        with pytest.raises(TypeError, match="int, a slice or an array"):
            cutouts[rows]


def test_image(make_cutouts):
    cutouts = make_cutouts()
    image = cutouts.image(1, "g")
    assert isinstance(image, CCDData)
    assert image.unit == cutouts.unit
    assert_array_equal(image.data, cutouts.data[1, 1])
    assert_array_equal(image.mask, cutouts.mask[1, 1])
    assert_array_equal(image.uncertainty.array, cutouts.variance[1, 1])
    assert image.meta == {"band": "g", "flags": int(cutouts.flags[1])}
    with pytest.raises(KeyError, match="band must be one of"):
        cutouts.image(0, "z")
    with pytest.raises(IndexError, match="row must be below 6"):
        cutouts.image(6)
    assert make_cutouts("plain").image(0).unit == u.dimensionless_unscaled
    assert repr(cutouts) == (
        "<Cutouts: 6 x 2 bands (r, g) of 8 x 9 pixels, float32, nmgy / arcsec2, with variance>"
    )


@pytest.mark.parametrize(
    "dtype", ["u1", ">i2", "<i4", ">u2", "bool", "f2", ">f4", "f4", ">f8", "f8", "longdouble"]
)
def test_any_real_numbers(dtype):
    data = np.arange(32).reshape(2, 4, 4).astype(dtype)
    cutouts = Cutouts(data)
    assert cutouts.shape == (2, 1, 4, 4)
    assert cutouts.data.dtype == (
        np.float64 if data.dtype.kind == "f" and data.itemsize >= 8 else np.float32
    )
    assert_array_equal(cutouts.data[:, 0], data)
    data[:] = 0
    assert cutouts.data.any() or dtype == "bool"


def test_not_finite_is_filled_masked_and_flagged():
    data = np.arange(64.0).reshape(4, 1, 4, 4)
    data[0, 0, 0, 0], data[1, 0, 1, 1], data[2] = np.nan, np.inf, np.nan
    variance = np.ones_like(data)
    variance[3, 0, 3, 3] = -1
    cutouts = Cutouts(data, variance=variance)
    assert np.isfinite(cutouts.data).all()
    some, lost = Flag.MASKED_PIXELS, Flag.NON_FINITE
    assert_array_equal(
        cutouts.flags, [some | lost, some | lost, some | lost | Flag.ALL_MASKED, some]
    )
    assert cutouts.mask.sum() == 19
    assert_array_equal(np.isinf(cutouts.variance), cutouts.mask)
    assert np.isnan(data[0, 0, 0, 0])


def test_blank_looks_at_usable_pixels():
    data = np.zeros((3, 1, 2, 2))
    data[1, 0, 0, 0] = data[2, 0, 0, 0] = 1
    mask = data > 0
    mask[2] = False
    assert_array_equal((Cutouts(data, mask=mask).flags & Flag.BLANK) > 0, [1, 1, 0])


def test_masked_quantity():
    data = Masked(np.ones((2, 4, 4)) << u.mJy, mask=np.arange(32).reshape(2, 4, 4) == 5)
    cutouts = Cutouts(data, unit=u.uJy, variance=np.ones((2, 4, 4)) << u.mJy**2)
    assert cutouts.data.max() == 1000
    assert_allclose(cutouts.variance, 1e6)
    assert cutouts.mask.sum() == 1
    column = Table({"cutout": np.ma.array(np.ones((2, 4, 4)), mask=data.mask)})
    assert Cutouts.from_table(column).mask.sum() == 1


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"mask": np.zeros((1, 3, 3))}, ValueError, "mask has shape"),
        ({"variance": np.zeros(3)}, ValueError, "variance has shape"),
        ({"bands": ("g", "r")}, ValueError, "bands must be 1 different names"),
        ({"positions": SkyCoord([1], [2], unit="deg")}, ValueError, "positions must be a SkyCoord"),
        ({"positions": [1, 2]}, ValueError, "positions must be a SkyCoord"),
        ({"flags": [0.5, 1]}, ValueError, "flags must be 2 integers"),
        ({"unit": "parsnip"}, ValueError, "parsnip"),
    ],
)
def test_parts_that_do_not_fit(options, error, match):
    with pytest.raises(error, match=match):
        Cutouts(np.zeros((2, 3, 3)), **options)


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (np.zeros((3, 3)), ValueError, r"shape \(n, c, ny, nx\)"),
        (np.zeros((2, 1, 0, 3)), ValueError, r"shape \(n, c, ny, nx\)"),
        (np.zeros((2, 3, 3), complex), TypeError, "real numbers, not complex"),
        (np.array([np.zeros((3, 3)), None], dtype=object), TypeError, "numpy.stack"),
        ("data", TypeError, "real numbers"),
    ],
)
def test_data_that_are_none(data, error, match):
    with pytest.raises(error, match=match):
        Cutouts(data)
    if isinstance(data, np.ndarray) and data.ndim == 1:
        with pytest.raises(error, match=match):
            Cutouts.from_table(Table({"cutout": data}))


def test_concatenate_refuses_what_does_not_fit(make_cutouts):
    cutouts = make_cutouts()
    for other, match in (
        (Cutouts(cutouts.data, unit=u.nJy, bands=cutouts.bands), "differ in unit"),
        (Cutouts(cutouts.data, unit=cutouts.unit), "differ in bands"),
        (Cutouts(cutouts.data[..., 1:], unit=cutouts.unit, bands=("r", "g")), "differ in shape"),
        (Cutouts(cutouts.data, unit=cutouts.unit, bands=("r", "g")), "some have a variance"),
        (make_cutouts("resampled"), "their grid are of different kinds"),
    ):
        with pytest.raises(ValueError, match=match):
            Cutouts.concatenate([cutouts, other])
    with pytest.raises(ValueError, match="empty"):
        Cutouts.concatenate([])
    assert_same(Cutouts.concatenate([cutouts[:2], cutouts[2:]]), cutouts)


def test_one_wcs_for_all(make_wcs):
    cutouts = Cutouts(np.ones((2, 3, 8, 8)), wcs=make_wcs(shape=(8, 8)))
    assert_allclose(cutouts.pixel_scale.value, 0.4)
    assert cutouts.image(1, 2).wcs.pixel_to_world(0, 0) == make_wcs(shape=(8, 8)).pixel_to_world(
        0, 0
    )
    again = Cutouts.from_table(cutouts.to_table())
    assert_allclose(again.pixel_scale, cutouts.pixel_scale)


def test_table_of_something_else():
    with pytest.raises(TypeError, match=r"a table .* is needed"):
        Cutouts.from_table(3)
    # JSON types, but nothing more, in a table of one's own.
    own = Cutouts.from_table({"cutout": np.ones((2, 4, 4), ">f4")})
    assert own.bands == ("band0",)
    assert own.data.dtype == np.float32
    # Photutils and surveys have flags too, with other meanings.
    assert not Cutouts.from_table({"cutout": np.ones((2, 4, 4)), "flags": [1, 2**33]}).flags[0] & 1
    with pytest.raises(ValueError, match="flags have bits without a meaning"):
        Cutouts(np.ones((2, 1, 4, 4)), flags=[0, 2**33])
