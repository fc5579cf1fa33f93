"""Every kind of bad input, through every way in."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData, NDData
from astropy.table import MaskedColumn, QTable, Table
from astropy.wcs import WCS
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, Flag, classify_cutouts
from astrodlkit.exceptions import AstrodlkitWarning, UnknownModelError, WeightsError
from astrodlkit.specs import Picture

SURFACE = u.nmgy / u.arcsec**2
CHANNELS = ("i", "r", "g")
PIXELS = {"stretch": Picture(white=1.0)}


def sky_wcs(shape=(64, 64), scale=0.4):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [shape[1] / 2, shape[0] / 2]
    wcs.wcs.crval = [150.0, 2.0]
    wcs.wcs.cdelt = [-scale / 3600, scale / 3600]
    return wcs


@pytest.fixture
def image(pictures):
    return np.tile(pictures[0, 0], (2, 2))


@pytest.fixture(params=["classify_cutouts", "predict", "stream", "embed"])
def way(request, classifier):
    """Each public function, as one that gives the features or the table."""
    if request.param == "classify_cutouts":
        return lambda *args, **options: classify_cutouts(*args, model=classifier, **options)
    if request.param == "stream":
        return lambda *args, **options: list(classifier.stream(*args, **options))
    return getattr(classifier, request.param)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (None, TypeError, "a table is needed, got None"),
        ("catalogue.fits", TypeError, "a table is needed, got 'catalogue.fits'"),
        (3, TypeError, "a table"),
        ({"x": [1], "y": [1]}, ValueError, "table has no column 'cutout', only .'x', 'y'."),
        ({"cutout": [1.0, 2.0]}, ValueError, r"shape \(n, ny, nx\) or .*, got \(2,\)"),
        ({"cutout": np.ones((2, 2, 2, 2, 2))}, ValueError, r"got \(2, 2, 2, 2, 2\)"),
        ({"cutout": ["a", "b"]}, TypeError, "must hold numbers or images, not <U1"),
        ({"cutout": np.ones((2, 3, 4, 4), complex)}, TypeError, "not complex128"),
        (
            {"cutout": np.ones((2, 9, 9, 3))},
            ValueError,
            r"shape \(2, 9, 9, 3\), as of pictures with their colours last; .*numpy.moveaxis",
        ),
        ({"cutout": np.ones((2, 2, 9, 9))}, ValueError, "bands must name, of the data's bands"),
        ({"cutout": np.ones((2, 3, 0, 9))}, ValueError, r"got \(2, 3, 0, 9\)"),
    ],
)
def test_tables_that_are_none(way, table, error, message):
    with pytest.raises(error, match=message):
        way(table)


def objects(*elements):
    column = np.empty(len(elements), dtype=object)
    column[:] = elements
    return {"cutout": column}


@pytest.mark.parametrize(
    ("element", "error", "message"),
    [
        ("text", OSError, "cutout of row 1"),
        ({1: 2}, TypeError, "cutout of row 1"),
        (np.ones(4), ValueError, r"cutout of row 1: data must have shape .* got \(4,\)"),
        (np.ones((9, 9, 3)), ValueError, "cutout of row 1: .*colours last"),
        (np.array([["a"]]), TypeError, "cutout of row 1: data must hold real numbers"),
    ],
)
def test_objects_that_are_no_images(way, element, error, message):
    with pytest.raises(error, match=message):
        way(objects(np.ones((9, 9)), element), **PIXELS)


def test_objects_whose_bands_have_other_pixels(way):
    scales = {"i": 0.4, "r": 0.8, "g": 0.4}
    element = {
        band: NDData(np.ones((9, 9)), unit=SURFACE, wcs=sky_wcs((9, 9), scale))
        for band, scale in scales.items()
    }
    with pytest.raises(ValueError, match="cutout of row 1: the pixels of bands 'i' and 'r' differ"):
        way(objects(np.ones((9, 9)), element), **PIXELS)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"views": 3}, ValueError, r"views must be one of \(1, 2, 4, 8\), got 3"),
        ({"views": "8"}, ValueError, "views must be one of"),
        ({"views": None}, ValueError, "views must be one of"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive integer, got 0"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be a positive integer, got 2.5"),
        ({"progress": 3}, TypeError, "progress must be True, False, None or a callable"),
        ({"stretch": "asinh"}, ValueError, "stretch must be 'auto', a LuptonStretch"),
        ({"stretch": None}, ValueError, "stretch must be 'auto'"),
        ({"bands": ("i", "r", "z")}, ValueError, "bands must name, of the data's bands"),
        ({"bands": ("i", "r")}, ValueError, "bands must name, of the data's bands"),
        ({"bands": {"i": "i"}}, ValueError, r"for each of .*, \['g', 'r'\] are missing"),
        ({"bands": "z"}, ValueError, "bands must name, of the data's bands"),
        ({"size": 32}, ValueError, "size must be left out: the table has a column 'cutout'"),
        ({"data": np.ones((9, 9))}, ValueError, "data must be left out: the table has a column"),
    ],
)
def test_options_that_mean_nothing(way, pictures, options, error, message):
    cutouts = Cutouts(pictures, unit=SURFACE, bands=CHANNELS)
    with pytest.raises(error, match=message):
        way(cutouts.to_table(), **options)


@pytest.mark.parametrize("name", ["data", "size"])
def test_cutouts_are_used_whole(way, pictures, name):
    with pytest.raises(ValueError, match=f"{name} must be left out: table holds the cutouts"):
        way(Cutouts(pictures), **{name: 3})


@pytest.mark.parametrize("precision", ["float16", 16, None])
@pytest.mark.parametrize("method", ["predict", "stream", "embed"])
def test_precisions_that_are_none(classifier, pictures, precision, method):
    with pytest.raises(ValueError, match="precision must be one of"):
        getattr(classifier, method)({"cutout": pictures}, precision=precision)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("nowhere.fits", FileNotFoundError, "nowhere.fits"),
        ([], ValueError, "data holds no image"),
        (7, TypeError, "data must be NDData"),
        (np.ones(5), ValueError, "must have shape"),
        (np.ones((9, 9), complex), TypeError, "must hold real numbers"),
        (np.ones((9, 9, 3)), ValueError, "colours last"),
        ({"r": np.ones((9, 9)) * u.Jy, "g": np.ones((9, 9)) * u.m}, u.UnitConversionError, "unit"),
    ],
)
def test_data_that_are_no_image(way, data, error, message):
    with pytest.raises(error, match=message):
        way({"x": [4], "y": [4]}, data, size=5)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"mag": [1.0]}, ValueError, "positions has no columns known as positions"),
        ({"x": ["a"], "y": [1]}, TypeError, "must hold numbers"),
        ({"x": [1] * u.Jy, "y": [1]}, u.UnitConversionError, "column 'x' has unit Jy"),
        (SkyCoord([150], [2], unit="deg"), ValueError, "data has no celestial WCS"),
        ({"ra": [150.0], "dec": [2.0]}, ValueError, "data has no celestial WCS"),
    ],
)
def test_tables_without_usable_positions(way, image, table, error, message):
    with pytest.raises(error, match=message):
        way(table, image, size=5)


def test_a_wcs_that_is_not_of_the_sky(way, image):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["WAVE", "LINEAR"]
    with pytest.raises(ValueError, match="the WCS has no celestial axes"):
        way({"x": [9], "y": [9]}, (image, wcs), size=5)


def test_an_angle_without_a_wcs(way, image):
    with pytest.raises(ValueError, match="data has no celestial WCS, which size as an angle needs"):
        way({"x": [9], "y": [9]}, image, size=5 * u.arcsec)


def test_a_size_that_is_no_size(way, image):
    with pytest.raises(u.UnitConversionError, match="size must be an angle or in pixels, got Jy"):
        way({"x": [9], "y": [9]}, image, size=5 * u.Jy)


def test_flux_per_wavelength(way, image):
    data = NDData(image, unit="erg / (s cm2 AA)", wcs=sky_wcs())
    with pytest.raises(ValueError, match="flux per wavelength"):
        way({"x": [9], "y": [9]}, data, size=5)


def test_flux_per_pixel_without_a_pixel_scale(way, image):
    with pytest.raises(ValueError, match="per pixel need a pixel scale"):
        way({"x": [9], "y": [9]}, NDData(image, unit="nmgy"), size=5)


def test_a_missing_unit_is_a_warning(way, pictures):
    with pytest.warns(AstrodlkitWarning, match="the cutouts have no flux unit"):
        way({"cutout": pictures})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        way({"cutout": pictures}, **PIXELS)


def test_a_missing_size_is_a_warning(way, image):
    with pytest.warns(AstrodlkitWarning, match="every stamp is 32 pixels wide; give size="):
        way({"x": [30], "y": [30]}, image, **PIXELS)


def test_a_truncated_file(way, image, tmp_path):
    path = tmp_path / "image.fits"
    fits.writeto(path, image)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(OSError, match="is not a FITS file that can be read"):
        way({"x": [9], "y": [9]}, path, size=5)


@pytest.mark.parametrize("model", ["nothing", "galaxyzoo2.v999", "hf-hub:a/b"])
def test_models_that_are_not_there(pictures, model):
    with pytest.raises((UnknownModelError, ValueError)):
        classify_cutouts({"cutout": pictures}, model=model)


@pytest.mark.parametrize("model", [None, 3, object()])
def test_models_of_the_wrong_type(pictures, model):
    with pytest.raises(TypeError):
        classify_cutouts({"cutout": pictures}, model=model)


def test_a_device_that_the_model_is_not_on(classifier, pictures):
    with pytest.raises(ValueError, match="device is 'meta' but the model is on 'cpu'"):
        classify_cutouts({"cutout": pictures}, model=classifier, device="meta")
    table = {"cutout": pictures * SURFACE}
    assert len(classify_cutouts(table, model=classifier, device="cpu")) == 12


# From here on: trouble in a row, which is a flag and no exception.


def flags_of(classifier, table, data=None, **options):
    """Flags of the rows; that rows without a result have none, and the others all."""
    result = classifier.predict(table, data, **options)
    features = classifier.embed(table, data, **options)
    parts = list(classifier.stream(table, data, **options, batch_size=2))
    assert_array_equal(np.concatenate([part["flags"] for part in parts]), result["flags"])
    lost = (np.array(result["flags"]) & Flag.NO_RESULT) > 0
    for name in ("t01_smooth_or_features_a01_smooth", "class_probability"):
        assert_array_equal(np.isnan(result[name]), lost)
    assert_array_equal(result["class"] == "", lost)
    assert_array_equal(np.isnan(features).all(axis=1), lost)
    assert_array_equal(np.isnan(features).any(axis=1), lost)
    return result["flags"]


def test_pixels_that_cannot_be_used(classifier, pictures):
    pictures = pictures.copy()
    pictures[0, 0, 3, 3] = np.nan
    pictures[1, 1, 0, 0] = np.inf
    pictures[2] = np.nan
    pictures[3] = 0.25
    pictures[4, 0] = np.nan  # one band of three
    mask = np.zeros(pictures.shape, dtype=bool)
    mask[5] = True
    mask[6, :, 10:12] = True
    flags = flags_of(classifier, Cutouts(pictures, unit=SURFACE, mask=mask, bands=CHANNELS))
    bad = Flag.NON_FINITE | Flag.MASKED_PIXELS
    lost = Flag.ALL_MASKED | Flag.NO_RESULT
    expected = [bad, bad, bad | lost, Flag.BLANK, bad, lost | Flag.MASKED_PIXELS]
    assert_array_equal(flags, [*expected, Flag.MASKED_PIXELS, 0, 0, 0, 0, 0])


def test_stamps_off_the_edge(classifier, image):
    table = {"x": [32, 0, -20, np.nan, 63, 1e9], "y": [32, 5, 5, 5, 200, -1e9]}
    table["size"] = [20.0] * 6 * u.pix
    flags = flags_of(classifier, table, image, size="size", **PIXELS)
    lost = Flag.MASKED_PIXELS | Flag.ALL_MASKED | Flag.NO_RESULT
    off = Flag.RESAMPLED | Flag.NO_OVERLAP | lost
    partly = Flag.RESAMPLED | Flag.PARTIAL_OVERLAP | Flag.MASKED_PIXELS
    expected = [Flag.RESAMPLED, partly, off, Flag.INVALID_POSITION | lost, off, off]
    assert_array_equal(flags, expected)


def test_positions_and_sizes_that_are_masked_or_wrong(classifier, image):
    table = Table(
        {
            "ra": MaskedColumn([150.0] * 6, mask=[0, 1, 0, 0, 0, 0]),
            "dec": [2.0] * 6,
            "petroR90": MaskedColumn([3, 3, 3, 0, -1, np.nan], mask=[0, 0, 1, 0, 0, 0]),
        }
    )
    data = CCDData(image, unit="nmgy", wcs=sky_wcs())
    flags = flags_of(classifier, table, data)
    lost = Flag.MASKED_PIXELS | Flag.ALL_MASKED | Flag.NO_RESULT
    sizes = [Flag.INVALID_SIZE | lost] * 4
    assert_array_equal(flags, [Flag.RESAMPLED, Flag.INVALID_POSITION | lost, *sizes])


def test_every_row_lost(classifier, pictures, columns):
    table = QTable({"cutout": np.full_like(pictures, np.nan) * SURFACE})
    result = classifier.predict(table)
    assert (result["class"] == "").all()
    assert (
        result["class"].dtype == classifier.predict({"cutout": pictures * SURFACE})["class"].dtype
    )
    assert result.colnames == ["cutout", *columns]


def test_rows_without_an_image(classifier, pictures):
    table = objects(pictures[0] * SURFACE, None, np.zeros((0, 5)), pictures[1] * SURFACE)
    flags = flags_of(classifier, table)
    lost = Flag.ALL_MASKED | Flag.NO_RESULT
    assert_array_equal(flags, [0, lost, lost, 0])
    masked = Table({"cutout": MaskedColumn(table["cutout"], mask=[0, 0, 0, 1])})
    assert_array_equal(flags_of(classifier, masked), [0, lost, lost, lost | Flag.MASKED_PIXELS])


def test_objects_of_unequal_shape_and_kind(classifier, pictures):
    from astropy.nddata import Cutout2D

    grey = pictures[:, 1]
    elements = [
        NDData(pictures[0], unit=SURFACE),
        NDData(pictures[1, :, 4:28, 2:30], unit=SURFACE, mask=pictures[1, :, 4:28, 2:30] < -0.05),
        CCDData(grey[2], unit="nmgy", wcs=sky_wcs((32, 32))),
        Cutout2D(grey[3] * SURFACE, (16, 16), 20),
        dict(zip("gri", pictures[4, ::-1] * SURFACE, strict=True)),
        pictures[5] * SURFACE,
    ]
    result = classifier.predict(objects(*elements))
    alone = [classifier.predict(objects(element))["class_probability"][0] for element in elements]
    assert_allclose(result["class_probability"], alone, atol=1e-5)
    whole = classifier.predict({"cutout": pictures * SURFACE})["class_probability"]
    assert_allclose(np.array(alone)[[0, 4, 5]], whole[[0, 4, 5]], atol=1e-5)


def test_a_memory_map_and_a_big_endian_file_are_only_read(classifier, pictures, image, tmp_path):
    np.save(tmp_path / "stamps.npy", pictures.astype(">f4"))
    stamps = np.load(tmp_path / "stamps.npy", mmap_mode="r")
    assert_allclose(
        classifier.predict({"cutout": stamps}, **PIXELS)["class_probability"],
        classifier.predict({"cutout": pictures}, **PIXELS)["class_probability"],
        atol=1e-4,
    )
    path = tmp_path / "image.fits"
    fits.writeto(path, image.astype(">f4"), sky_wcs().to_header())
    table = {"x": [20, 20, 40], "y": [20, 20, 40]}
    result = classifier.predict(table, path, size=8 * u.arcsec, **PIXELS)
    direct = classifier.predict(table, (image, sky_wcs()), size=20, **PIXELS)
    assert_allclose(result["class_probability"], direct["class_probability"], atol=1e-4)
    # Positions that are given twice give the same twice.
    assert result["class_probability"][0] == result["class_probability"][1]


def test_damaged_weights(classifier, pictures, tmp_path):
    from astrodlkit.networks import build
    from astrodlkit.pretrained import save_model

    save_model(tmp_path, classifier.card, build("galaxy-zoo"))
    weights = tmp_path / "small.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError):
        classify_cutouts({"cutout": pictures}, model=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("card", None), "card must be a ModelCard, got str"),
        ((None, None), "card must be a ModelCard, got NoneType"),
    ],
)
def test_a_classifier_of_something_else(classifier, arguments, message):
    kind = type(classifier)
    with pytest.raises(TypeError, match=message):
        kind(*arguments)
    with pytest.raises(TypeError, match=r"module must be a torch\.nn\.Module, got function"):
        kind(classifier.card, lambda images: images)
