"""Every kind of image that users hold."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    NDData,
    NDDataArray,
    StdDevUncertainty,
    UnknownUncertainty,
)
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from astropy.wcs.wcsapi import HighLevelWCSWrapper, SlicedLowLevelWCS
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag, extract_cutouts
from astrodlkit.cutouts import iter_cutouts
from astrodlkit.exceptions import AstrodlkitWarning

SHAPE = (60, 64)
PIXELS = {"x": [30.0, 12.0], "y": [31.0, 40.0]}


@pytest.fixture
def ramp():
    return np.arange(60 * 64, dtype=np.float32).reshape(SHAPE)


@pytest.fixture
def wcs(make_wcs):
    return make_wcs(shape=SHAPE)


@pytest.fixture
def expected(ramp):
    return np.stack([ramp[27:35, 26:34], ramp[36:44, 8:16]])[:, None]


def _kinds(ramp, wcs, folder):
    header = wcs.to_header()
    plain = folder / "plain.fits"
    fits.PrimaryHDU(ramp, header).writeto(plain)
    second = folder / "second.fits"
    hdus = fits.HDUList(
        [fits.PrimaryHDU(), fits.BinTableHDU.from_columns([]), fits.ImageHDU(ramp, header)]
    )
    hdus.writeto(second)
    packed = folder / "packed.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(ramp, header)]).writeto(packed)
    for module, suffix in ((gzip, ".gz"), (bz2, ".bz2"), (lzma, ".xz")):
        (folder / f"plain.fits{suffix}").write_bytes(module.compress(plain.read_bytes()))
    CCDData(ramp, unit="adu", wcs=wcs).write(folder / "ccd.fits")
    cube = fits.PrimaryHDU(ramp[None, None])
    cube.header.update(header)
    cube.writeto(folder / "cube.fits")
    return {
        "NDData": NDData(ramp, wcs=wcs),
        "NDDataArray": NDDataArray(ramp, wcs=wcs),
        "CCDData": CCDData(ramp, unit="adu", wcs=wcs),
        "pair": (ramp, wcs),
        "pair with header": (ramp, header),
        "pair with wrapper": (ramp, HighLevelWCSWrapper(SlicedLowLevelWCS(wcs, Ellipsis))),
        "quantity": (ramp << u.nJy, wcs),
        "masked array": (np.ma.array(ramp), wcs),
        "array": ramp,
        "cube": (ramp[None], wcs),
        "HDU": hdus[2],
        "HDUList": hdus,
        "dict": {"r": (ramp, wcs)},
        "list": [(ramp, wcs)],
        "tuple": ((ramp, wcs),),
        "str": str(plain),
        "path": plain,
        "second": second,
        "packed": packed,
        "gz": folder / "plain.fits.gz",
        "bz2": folder / "plain.fits.bz2",
        "xz": folder / "plain.fits.xz",
        "ccd": folder / "ccd.fits",
        "four axes": folder / "cube.fits",
        "paths": {"r": plain},
    }


KINDS = [
    "NDData", "NDDataArray", "CCDData", "pair", "pair with header", "pair with wrapper",
    "quantity", "masked array", "array", "cube", "HDU", "HDUList", "dict", "list", "tuple", "str",
    "path", "second", "packed", "gz", "bz2", "xz", "ccd", "four axes", "paths",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_stamps(ramp, wcs, expected, kind, tmp_path):
    data = _kinds(ramp, wcs, tmp_path)[kind]
    cutouts = extract_cutouts(data, PIXELS, 8)
    assert_array_equal(cutouts.data, expected)
    assert cutouts.data.dtype == np.float32
    assert cutouts.data.dtype.isnative
    assert (cutouts.flags == 0).all()
    assert cutouts.bands == (("r",) if kind in ("dict", "paths") else ("band0",))
    unit = {"CCDData": u.adu, "ccd": u.adu, "quantity": u.nJy}.get(kind)
    assert cutouts.unit == unit
    if kind == "array":
        assert cutouts.positions is None
        return
    assert cutouts.positions.separation(wcs.pixel_to_world(*PIXELS.values())).arcsec.max() < 1e-6
    coords = wcs.pixel_to_world(*PIXELS.values())
    assert_array_equal(extract_cutouts(data, coords, 8).data, expected)
    resampled = extract_cutouts(data, coords, 8, pixel_scale=0.4 * u.arcsec)
    assert resampled.flags.tolist() == [Flag.RESAMPLED] * 2


def test_a_slice_of_ndata_knows_its_place(ramp, wcs):
    whole = CCDData(ramp, unit="adu", wcs=wcs)
    part = whole[5:50, 20:60]
    coords = wcs.pixel_to_world([30.0], [31.0])
    assert_array_equal(
        extract_cutouts(part, coords, 8).data, extract_cutouts(whole, coords, 8).data
    )


def test_files_stay_on_disk(ramp, wcs, tmp_path):
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(ramp, wcs.to_header()).writeto(path)
    from astrodlkit.cutouts import read_images

    (image,) = read_images(path).values()
    base = image.data
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert base is not None
    assert not image.data.flags.writeable or image.data.dtype == ">f4"
    chunks = iter_cutouts(path, PIXELS, 8, chunk=1)
    assert_array_equal([chunk.data[0] for chunk in chunks], extract_cutouts(ramp, PIXELS, 8).data)


@pytest.mark.parametrize("dtype", ["u1", ">i2", "u2", "i4", "f2", ">f4", "f4", ">f8", "f8", "bool"])
def test_read_only_memory_maps(ramp, expected, dtype, tmp_path):
    stored = (ramp % 200).astype(dtype)
    path = tmp_path / "image.npy"
    np.save(path, stored)
    mapped = np.load(path, mmap_mode="r")
    cutouts = extract_cutouts(mapped, PIXELS, 8)
    assert_array_equal(cutouts.data, (expected % 200).astype(dtype))
    assert cutouts.data.dtype == (np.float64 if dtype.endswith("f8") else np.float32)
    resampled = extract_cutouts(mapped, PIXELS, [8.0, 8.0], shape=8)
    assert resampled.data.dtype == cutouts.data.dtype
    # A stamp of 8 pixels centred on a pixel is half a pixel aside of the native one.
    assert np.isfinite(resampled.data).all()


def test_scaled_integers(ramp, wcs, tmp_path):
    path = tmp_path / "scaled.fits"
    hdu = fits.PrimaryHDU((ramp % 1000).astype(np.int16), wcs.to_header())
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.5, 100.0, 3
    hdu.header["BUNIT"] = "nJy"
    # Written as they are, not scaled back.
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.PrimaryHDU((ramp % 1000).astype(np.int16), hdu.header))
        hdus[0].header["BSCALE"], hdus[0].header["BZERO"] = 0.5, 100.0
        hdus[0].header["BLANK"] = 3
    with fits.open(path, memmap=False) as hdus:
        physical = hdus[0].data.astype(float)
    y, x = np.argwhere(ramp == 1003)[0]
    table = {"x": [30.0, float(x)], "y": [31.0, float(y)]}
    cutouts = extract_cutouts(path, table, 8)
    assert_array_equal(cutouts.data[0, 0], physical[27:35, 26:34])
    assert np.isnan(physical[y, x])
    assert cutouts.flags.tolist() == [0, Flag.NON_FINITE | Flag.MASKED_PIXELS]
    assert cutouts.mask[1].sum() == 1
    assert cutouts.unit == u.nJy
    unsigned = tmp_path / "unsigned.fits"
    fits.PrimaryHDU(ramp.astype(np.uint16) + 60000).writeto(unsigned)
    assert_array_equal(extract_cutouts(unsigned, PIXELS, 8).data[0, 0], ramp[27:35, 26:34] + 60000)


def test_compressed_integers_are_scaled_too(ramp, wcs, tmp_path):
    header = wcs.to_header()
    header["BLANK"] = 3
    for number in (ramp.astype(np.uint16) + 60000, ramp.astype(np.int32)):
        path = tmp_path / f"{number.dtype}.fits.fz"
        hdu = fits.CompImageHDU(number, header if number.dtype.kind == "i" else None)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
        cutouts = extract_cutouts(path, PIXELS, 8)
        assert_array_equal(cutouts.data[0, 0], number[27:35, 26:34])
    y, x = np.argwhere(ramp == 3)[0]
    cutouts = extract_cutouts(path, {"x": [float(x)], "y": [float(y)]}, 1)
    assert cutouts.flags[0] & Flag.NON_FINITE


def test_mask_and_uncertainty_beside_the_image(ramp, wcs, tmp_path):
    path = tmp_path / "ccd.fits"
    ccd = CCDData(
        ramp, unit="adu", wcs=wcs, mask=ramp % 7 == 0, uncertainty=StdDevUncertainty(ramp + 1)
    )
    ccd.write(path)
    ours, theirs = extract_cutouts(path, PIXELS, 8), extract_cutouts(ccd, PIXELS, 8)
    assert_array_equal(ours.mask, theirs.mask)
    assert_array_equal(ours.mask[0, 0], (ramp % 7 == 0)[27:35, 26:34])
    assert_allclose(ours.variance, theirs.variance)
    assert_allclose(ours.variance[0, 0], (ramp[27:35, 26:34] + 1) ** 2)
    with fits.open(path, mode="update") as hdus:
        hdus["UNCERT"].header["UTYPE"] = "RootMeanGuess"
    with pytest.raises(TypeError, match="unknown kind 'RootMeanGuess'"):
        extract_cutouts(path, PIXELS, 8)


@pytest.mark.parametrize("packed", [False, True])
def test_uncertainty_of_unsigned_integers_beside_the_image(ramp, wcs, tmp_path, packed):
    error = StdDevUncertainty(((ramp % 50) + 1).astype(np.uint16))
    ccd = CCDData(ramp.astype(np.uint16), unit="adu", wcs=wcs, uncertainty=error)
    path = tmp_path / ("ccd.fits.gz" if packed else "ccd.fits")
    ccd.write(path)
    assert_array_equal(
        extract_cutouts(path, PIXELS, 8).variance, extract_cutouts(ccd, PIXELS, 8).variance
    )


def test_masks_of_every_kind(ramp, wcs):
    mask = ramp % 5 == 0
    for data in (
        NDData(ramp, mask=mask),
        NDData(ramp, mask=mask.astype(np.int16) * 4),
        NDData(np.ma.array(ramp, mask=mask)),
        np.ma.array(ramp, mask=mask),
        Masked(ramp << u.nJy, mask),
        (Masked(ramp, mask), wcs),
    ):
        cutouts = extract_cutouts(data, PIXELS, 8)
        assert_array_equal(cutouts.mask[0, 0], mask[27:35, 26:34])
        assert (cutouts.flags == Flag.MASKED_PIXELS).all()
        # What is masked is kept.
        assert_array_equal(cutouts.data[0, 0], ramp[27:35, 26:34])
    everything = extract_cutouts(NDData(ramp, mask=np.ones(SHAPE, bool)), PIXELS, 8)
    assert (everything.flags & Flag.ALL_MASKED).all()
    assert extract_cutouts(NDData(ramp, mask=False), PIXELS, 8).flags.tolist() == [0, 0]


def test_useless_variance_is_masked(ramp):
    sigma = np.ones(SHAPE)
    sigma[30, 30], sigma[31, 30], sigma[32, 30] = np.nan, np.inf, 0
    cutouts = extract_cutouts(
        NDData(ramp, uncertainty=StdDevUncertainty(sigma)), PIXELS, 8, fill_value=1
    )
    assert cutouts.mask[0].sum() == 2
    assert np.isinf(cutouts.variance[0]).sum() == 2
    assert cutouts.data[0, 0, 3, 4] == ramp[30, 30]
    off = extract_cutouts(
        NDData(ramp, uncertainty=StdDevUncertainty(sigma)), {"x": [0], "y": [0]}, 8
    )
    assert_array_equal(np.isinf(off.variance), off.mask)


def test_one_band_without_variance(ramp):
    data = {"g": NDData(ramp, uncertainty=StdDevUncertainty(ramp + 1)), "r": ramp}
    with pytest.raises(ValueError, match=r"bands \['r'\] have no uncertainty, but the others do"):
        extract_cutouts(data, PIXELS, 8)


def test_a_mask_of_bits_is_not_taken_for_true_and_false(ramp, tmp_path):
    path = tmp_path / "image.fits"
    bits = fits.ImageHDU((ramp % 7).astype(np.int32), name="MASK")
    fits.HDUList([fits.PrimaryHDU(ramp), bits]).writeto(path)
    with pytest.warns(AstrodlkitWarning, match="MASK is not true or false"):
        assert not extract_cutouts(path, PIXELS, 8).mask.any()


def test_units_of_bands(ramp):
    cutouts = extract_cutouts({"g": ramp << u.mJy, "r": ramp << u.Jy}, PIXELS, 8)
    assert cutouts.unit == u.mJy
    assert_allclose(cutouts.data[:, 1], 1000 * cutouts.data[:, 0])
    both = {
        band: NDData(ramp, unit=unit, uncertainty=StdDevUncertainty(np.ones(SHAPE)))
        for band, unit in (("g", "mJy"), ("r", "Jy"))
    }
    assert_allclose(extract_cutouts(both, PIXELS, 8).variance[0, :, 0, 0], [1, 1e6])
    for wrong in (ramp, ramp << u.adu):
        with pytest.raises(u.UnitConversionError, match=r"unit of band 'r' is .*'g' is mJy"):
            extract_cutouts({"g": ramp << u.mJy, "r": wrong}, PIXELS, 8)


def test_unit_of_a_file(ramp, tmp_path):
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(ramp, fits.Header({"BUNIT": "nanomaggy"})).writeto(path)
    assert extract_cutouts(path, PIXELS, 8).unit == u.nmgy
    fits.PrimaryHDU(ramp, fits.Header({"BUNIT": "parsnips"})).writeto(path, overwrite=True)
    with pytest.warns(AstrodlkitWarning, match="BUNIT = 'parsnips' is not a unit"):
        assert extract_cutouts(path, PIXELS, 8).unit is None


def test_a_header_without_a_sky_has_pixels(ramp, tmp_path):
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(ramp).writeto(path)
    assert extract_cutouts(path, PIXELS, 8).pixel_scale is None
    with pytest.raises(ValueError, match="no celestial WCS, which positions on the sky needs"):
        extract_cutouts(path, SkyCoord([1], [2], unit="deg"), 8)


def test_truncated_files(ramp, tmp_path):
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(ramp).writeto(path)
    whole = path.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:1000], b"", b"no FITS at all"):
        path.write_bytes(part)
        with pytest.raises(OSError, match=r"data: .*image.fits is not a FITS file that can be"):
            extract_cutouts(path, PIXELS, 8)
    path.write_bytes(gzip.compress(whole)[:-30])
    with pytest.raises(OSError, match="is not a FITS file that can be"):
        extract_cutouts(path, PIXELS, 8)
    with pytest.raises(FileNotFoundError):
        extract_cutouts(tmp_path / "nowhere.fits", PIXELS, 8)
    fits.HDUList([fits.PrimaryHDU()]).writeto(path, overwrite=True)
    with pytest.raises(ValueError, match="no HDU of the file holds an image"):
        extract_cutouts(path, PIXELS, 8)
    with pytest.raises(ValueError, match="has no image"):
        extract_cutouts(fits.PrimaryHDU(), PIXELS, 8)


def _spectral():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "WAVE", "LINEAR"
    return wcs


def _cube(*axes):
    """A WCS whose axes are these of right ascension, declination and wavelength."""
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = [("RA---TAN", "DEC--TAN", "WAVE")[i] for i in axes]
    wcs.wcs.cdelt = [(-1e-4, 1e-4, 1.0)[i] for i in axes]
    return wcs


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (None, TypeError, "data must be NDData.*got NoneType"),
        (3.0, TypeError, "got float"),
        ([[1, 2], [3, 4]], TypeError, r"data\[0\]\[0\]|data\[0\] must be NDData"),
        ([], ValueError, "data holds no image"),
        ({}, ValueError, "data holds no image"),
        (np.zeros(5), ValueError, r"shape \(ny, nx\) or \(band, ny, nx\), got \(5,\)"),
        (np.zeros((2, 2, 5, 5)), ValueError, r"got \(2, 2, 5, 5\)"),
        (np.zeros((0, 5)), ValueError, "no pixels"),
        (np.zeros(SHAPE, complex), TypeError, "real numbers, not complex"),
        (np.zeros(SHAPE, object), TypeError, "real numbers, not object"),
        (np.zeros(SHAPE, "U3"), TypeError, "real numbers, not <U3"),
        (NDData(np.zeros(SHAPE), mask=np.zeros((3, 3), bool)), ValueError, "mask|broadcast"),
        (
            NDData(np.zeros(SHAPE), uncertainty=UnknownUncertainty(np.zeros(SHAPE))),
            TypeError,
            "the uncertainty is a UnknownUncertainty; StdDevUncertainty",
        ),
        (
            NDData(np.zeros(SHAPE), uncertainty=StdDevUncertainty(np.zeros((3, 3)))),
            ValueError,
            "the uncertainty has shape",
        ),
        ((np.zeros(SHAPE), _spectral()), ValueError, r"no celestial axes \(CTYPE = \['WAVE'"),
        ((np.zeros((4, 9, 9)), _cube(2, 0, 1)), ValueError, "must be the last two of the array"),
        ((np.zeros((4, 9, 9)), _cube(0, 2, 1)), ValueError, "must be the last two of the array"),
        ({"g": np.zeros(SHAPE), "r": np.zeros((9, 9))}, ValueError, "different shapes need a WCS"),
        ({"g": np.zeros((2, 9, 9))}, ValueError, "in a dict of bands must be two-dimensional"),
    ],
)
def test_what_is_no_image(data, error, match):
    with pytest.raises(error, match=match):
        extract_cutouts(data, PIXELS, 8)


def test_bands_that_do_not_go_together(ramp, wcs):
    with pytest.raises(ValueError, match=r"bands \['r'\] have no celestial WCS"):
        extract_cutouts({"g": (ramp, wcs), "r": ramp}, PIXELS, 8)
    with pytest.raises(ValueError, match=r"bands has \['z'\], but data only has \['g'\]"):
        extract_cutouts({"g": ramp}, PIXELS, 8, bands=("g", "z"))
    with pytest.raises(ValueError, match="bands must differ"):
        extract_cutouts([ramp, ramp], PIXELS, 8, bands=("g", "g"))
    assert extract_cutouts([ramp, ramp], PIXELS, 8, bands=("g", "r")).bands == ("g", "r")


def test_the_celestial_axes_of_a_cube_may_be_in_either_order(ramp):
    for axes in ((0, 1, 2), (1, 0, 2)):
        assert extract_cutouts((np.stack([ramp, ramp]), _cube(*axes)), PIXELS, 8).data.any()


def test_wcs_of_another_kind(ramp, wcs):
    class Other:
        low_level_wcs = "gwcs"

    with pytest.raises(TypeError, match="to_fits_sip"):
        extract_cutouts((ramp, Other()), PIXELS, 8)
    cube = WCS(naxis=3)
    cube.wcs.ctype = "RA---TAN", "DEC--TAN", "WAVE"
    cube.wcs.crval[:2], cube.wcs.crpix[:2] = wcs.wcs.crval, wcs.wcs.crpix
    cube.wcs.cdelt[:2] = -0.4 / 3600, 0.4 / 3600
    coords = wcs.pixel_to_world([30.0], [31.0])
    stamps = extract_cutouts((np.stack([ramp, ramp]), cube), coords, 8)
    assert stamps.shape == (1, 2, 8, 8)
    assert_array_equal(stamps.data[0, 0], ramp[27:35, 26:34])
