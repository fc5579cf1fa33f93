"""Columns under other names, of other kinds, and with gaps."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.wcs import WCS
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag

pytest.importorskip("galsim")

GAP = [False, True, False, False, False]


@pytest.fixture
def options():
    return {"pixel_scale": 0.2 * u.arcsec, "psf": 0.7 * u.arcsec, "shape": 32, "rng": 3}


class TestFluxes:
    @pytest.mark.parametrize("masked", [False, True])
    def test_a_gap_in_another_band_is_filled_from_the_colour(
        self, profiles, table, options, masked
    ):
        del table["flux"]
        table["mag_r"], table["g_r"] = 20.0, 0.7
        table["mag_g"] = 20.5
        if masked:
            table["mag_g"] = MaskedColumn(table["mag_g"], mask=GAP)
        else:
            table["mag_g"][1] = np.nan
        stamps = profiles.simulate(table, bands=("g", "r"), **options)
        assert not (stamps.flags & Flag.NO_RESULT).any()
        complete = profiles.complete(table, bands=("g", "r"), rng=3)
        colour = -2.5 * np.log10((complete["flux_g"] / complete["flux_r"]).value)
        assert_allclose(colour, [0.5, 0.7, 0.5, 0.5, 0.5], atol=1e-5)
        flux = stamps.data.sum((2, 3))
        assert_allclose(-2.5 * np.log10(flux[1, 0] / flux[1, 1]), 0.7, atol=0.01)
        again = profiles.simulate(complete, bands=("g", "r"), **{**options, "rng": 8})
        assert_allclose(again.data, stamps.data, atol=1e-3 * stamps.data.max())

    def test_the_main_band_is_needed(self, profiles, table, options):
        table["mag_g"], table["flux"][1] = 20.5, np.nan * u.nJy
        stamps = profiles.simulate(table, bands=("g", "r"), **options)
        assert_array_equal((stamps.flags & Flag.INVALID_VALUE) != 0, GAP)

    def test_a_gap_in_flux_is_filled_from_mag(self, profiles, table, options):
        stamps = profiles.simulate(table, **options)
        table["mag"] = table["flux"].to_value(u.ABmag)
        table["mag"][[0, 2]] = 10.0, np.nan
        table["flux"][1] = np.nan * u.nJy
        again = profiles.simulate(table, **options)
        assert_allclose(again.data, stamps.data, rtol=1e-4)
        # What cannot be had in these units does not help, and does not harm.
        table["flux"] = table["flux"].value * u.adu
        flags = profiles.simulate(table, **options).flags
        assert_array_equal((flags & Flag.NO_RESULT) != 0, GAP)
        table["flux"][1] = -1 * u.adu
        assert profiles.simulate(table, **options).flags[1] & Flag.NO_RESULT

    def test_ab_magnitudes_under_the_name_of_fluxes(self, profiles, table, options):
        stamps = profiles.simulate(table, **options)
        table["flux"] = table["flux"].to(u.ABmag)
        again = profiles.simulate(table, **options)
        assert again.unit == u.nJy
        assert_allclose(again.data, stamps.data, rtol=1e-4)

    @pytest.mark.parametrize("zero", [25, np.float32(25), np.array(25), 25 * u.mag, 25 * u.ABmag])
    def test_zero_points(self, profiles, table, options, zero):
        complete = profiles.complete(table, unit="adu", zero_point=zero, rng=1)
        wanted = (table["flux"] / (25 * u.ABmag).to(u.nJy)).to_value(u.one)
        assert_allclose(complete["flux_r"].to_value(u.adu), wanted, rtol=1e-3)

    @pytest.mark.parametrize("unit", ["adu", "DN", "ct", "electron", "electron/s", "adu/s", "uJy"])
    def test_units_of_fluxes(self, profiles, table, unit):
        table["flux"] = table["flux"].value * u.Unit(unit)
        complete = profiles.complete(table, rng=1)
        assert_allclose(complete["flux_r"].to_value(unit), table["flux"].value)

    @pytest.mark.parametrize(
        "unit", ["m", "ph / (s cm2)", "s", "erg / (s cm2 AA)", "nJy / arcsec2"]
    )
    def test_units_of_something_else(self, profiles, table, unit):
        with pytest.raises(u.UnitConversionError, match=r"^unit "):
            profiles.complete(table, unit=unit)
        table.rename_column("flux", "F")
        table["F"] = table["F"].value * u.Unit(unit)
        for given in (None, "nJy"):
            with pytest.raises(u.UnitConversionError, match="the unit of column 'F'"):
                profiles.complete(table, unit=given, columns={"flux": "F"})


class TestPositions:
    @pytest.mark.parametrize("names", [("alpha", "delta"), ("X", "Y")])
    def test_other_names(self, profiles, table, options, names):
        table[names[0]] = [10.0, 11, 12, 13, 14]
        table[names[1]] = Column([1.0, 2, None, 4, 5], dtype=object)
        stamps = profiles.simulate(
            table, columns=dict(zip(("ra", "dec"), names, strict=True)), **options
        )
        assert_allclose(stamps.positions.ra.deg[:2], [10, 11])
        assert stamps.image(1, "r").wcs is not None
        assert_array_equal((stamps.flags & Flag.INVALID_POSITION) != 0, np.arange(5) == 2)

    def test_a_coordinate_column_and_pixels(self, profiles, table, options):
        table["a"] = SkyCoord([1.0] * 5, [2.0] * 5, unit="deg")
        table["b"] = SkyCoord([3.0] * 5, [4.0] * 5, unit="deg")
        stamps = profiles.simulate(table, columns={"position": "b"}, **options)
        assert_allclose(stamps.positions.ra.deg, 3)
        with pytest.raises(TypeError, match="column 'flux' must be a SkyCoord"):
            profiles.simulate(table, columns={"position": "flux"}, **options)

    def test_pixels(self, profiles, table, options):
        table["px"], table["py"] = 3.0, 4.0
        del options["pixel_scale"]
        wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -5e-5, "CDELT2": 5e-5})
        stamps = profiles.simulate(table, wcs=wcs, columns={"x": "px", "y": "py"}, **options)
        assert_allclose(wcs.world_to_pixel(stamps.positions[0]), [3, 4], atol=1e-6)

    def test_the_pixels_of_sextractor_begin_at_1_by_name_too(self, profiles, table, options):
        table["X_IMAGE"], table["Y_IMAGE"] = 3.0, 4.0
        del options["pixel_scale"]
        wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -5e-5, "CDELT2": 5e-5})
        for columns in (None, {"x": "X_IMAGE", "y": "Y_IMAGE"}):
            stamps = profiles.simulate(table, wcs=wcs, columns=columns, **options)
            assert_allclose(wcs.world_to_pixel(stamps.positions[0]), [2, 3], atol=1e-6)

    def test_half_a_pair_is_refused(self, profiles, table, options):
        table["alpha"] = 3.0
        with pytest.raises(ValueError, match="no column 'dec'"):
            profiles.simulate(table, columns={"ra": "alpha"}, **options)


class TestKinds:
    def test_numbers_as_objects(self, profiles, table, options):
        good = profiles.simulate(table, **options)
        plain = Table(table)
        values = [0.9, None, 0.3, np.float32(1), 1]
        plain["axis_ratio"] = Column(values, dtype=object)
        plain["half_light_radius"] = Column(
            [*table["half_light_radius"].value[:3].tolist(), None, np.nan], dtype=object,
            unit=u.arcsec,
        )  # fmt: skip
        stamps = profiles.simulate(plain, **options)
        assert_array_equal(stamps.data[[0, 2]], good.data[[0, 2]])
        assert not stamps.flags[1] & Flag.NO_RESULT
        assert_array_equal((stamps.flags & Flag.INVALID_SIZE) != 0, np.arange(5) > 2)
        plain["axis_ratio"] = Column(["a", None, 1, 1, 1], dtype=object)
        with pytest.raises(TypeError, match="column 'axis_ratio' must hold numbers"):
            profiles.simulate(plain, **options)

    def test_pandas(self, profiles, options):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({
            "mag": pandas.array([20.0, None], dtype="Float64"), "class": ["spiral ", np.nan],
            "sersic_index": np.array([None, 2.0], object), "Re": [1.0, 1.0],
        })  # fmt: skip
        table = QTable(Table.from_pandas(frame))
        table["half_light_radius"] = table["Re"] * u.arcsec
        stamps = profiles.simulate(table, **options)
        assert_array_equal((stamps.flags & Flag.NO_RESULT) != 0, [False, True])
        assert profiles.complete(table, rng=1)["class_spiral"][0] == 1

    def test_classes_with_gaps(self, profiles, table):
        kinds = [" spiral", None, np.nan, "  ", b"edge_on "]
        table["class"] = Column(kinds, dtype=object)
        complete = profiles.complete(table, rng=1)
        assert complete["class_spiral"][0] == 1
        assert complete["class_edge_on"][4] == 1
        table["class"] = np.full(5, np.nan)
        assert len(profiles.complete(table, rng=1)) == 5


def test_wrong_arguments_and_columns_are_named(profiles, table):
    def fails(error, message, **more):
        with pytest.raises(error, match=message):
            profiles.complete(table, **more)

    for zero in ("25", [25.0], {"r": 25.0}, True, np.ones(2)):
        fails(TypeError, "zero_point must be a number", zero_point=zero)
    fails(u.UnitConversionError, "zero_point must be an AB magnitude", zero_point=25 * u.m)
    fails(ValueError, "zero_point must be an AB magnitude", zero_point=np.inf)
    for bands in (3, None, [["r"]], ()):
        fails(ValueError, "bands must be of g, r, i", bands=bands)
    fails(TypeError, r"columns must be a mapping such as .*got \['a'\]", columns=["a"])
    fails(ValueError, "unit must be a unit such as .*'bananas'", unit="bananas")
    fails(TypeError, "unit must be a unit such as", unit=[])
    fails(u.UnitConversionError, "unit must be one of flux density", unit=u.ABmag)
    for name in ("flux", "half_light_radius", "position_angle", "axis_ratio", "dx"):
        wide = table.copy()
        unit = getattr(table[name], "unit", None) if name in table.colnames else None
        wide[name] = np.ones((5, 2)) * (unit or 1)
        with pytest.raises(ValueError, match=f"column '{name}' must have one number a row, its"):
            profiles.complete(wide)
    table["mag"] = table["flux"].value[:, None]
    del table["flux"]
    table["flux"] = np.full(5, 20) * u.mag
    fails(TypeError, "column 'flux' has the unit mag: .* named 'mag'")
    del table["flux"]
    fails(ValueError, "column 'mag' must have one number a row")
