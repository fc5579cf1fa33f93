"""What is asked for is what is drawn, measured back on the stamps."""

import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.cosmology import Planck18
from astropy.table import MaskedColumn, QTable, Table
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, Flag, load_model, simulate_galaxies
from astrodlkit.galaxies import NoiseModel

FINE = {"pixel_scale": 0.05 * u.arcsec, "shape": 256, "rng": 3}


@pytest.fixture
def gaussian(table):
    """Of a Sersic index of 0.5, all light is near and all moments exist."""
    table["sersic_index"], table["psf_fwhm"] = 0.5, 0.1
    return table


class TestMeasuredBack:
    def test_flux_is_exact(self, profiles, gaussian):
        stamps = profiles.simulate(gaussian, **FINE)
        assert stamps.unit == u.nJy
        assert_allclose(stamps.data.sum((1, 2, 3)), gaussian["flux"].value, rtol=1e-5)

    def test_half_of_the_light_is_within_the_radius(self, profiles, gaussian):
        stamps = profiles.simulate(gaussian, **FINE)
        y, x = np.indices((256, 256)) - 127.5
        distance = np.hypot(x, y) * 0.05
        for stamp, radius in zip(stamps.data[:, 0], gaussian["half_light_radius"], strict=True):
            inside = [
                stamp[distance < f * radius.value].sum() / stamp.sum() for f in (0.97, 1, 1.03)
            ]
            assert inside[0] < 0.5 < inside[2]
            assert abs(inside[1] - 0.5) < 0.015

    def test_semi_major_axes_are_of_the_ellipse(self, profiles, gaussian):
        gaussian.rename_column("half_light_radius", "half_light_semimajor")
        stamps = profiles.simulate(gaussian, **FINE)
        y, x = (np.indices((256, 256)) - 127.5) * 0.05
        for stamp, row in zip(stamps.data[:, 0], gaussian, strict=True):
            angle = row["position_angle"].to_value(u.rad)
            along = np.cos(angle) * y - np.sin(angle) * x
            across = (np.sin(angle) * y + np.cos(angle) * x) / row["axis_ratio"]
            inside = np.hypot(along, across) < row["half_light_semimajor"].value
            assert abs(stamp[inside].sum() / stamp.sum() - 0.5) < 0.015

    def test_axis_ratio_and_position_angle(self, profiles, gaussian, moments):
        stamps = profiles.simulate(gaussian, **FINE)
        for stamp, row in zip(stamps.data[:, 0], gaussian, strict=True):
            found = moments(stamp)
            assert abs(found.axis_ratio - row["axis_ratio"]) < 0.01
            if row["axis_ratio"] < 0.95:
                # North is up and east is left.
                off = found.angle - 90 - row["position_angle"].value
                assert abs((off + 90) % 180 - 90) < 0.5

    def test_ellipticity_is_one_minus_the_axis_ratio(self, profiles, gaussian):
        stamps = profiles.simulate(gaussian, **FINE)
        gaussian["ellipticity"] = 1 - gaussian["axis_ratio"]
        gaussian["axis_ratio"][::2] = np.nan
        assert_allclose(profiles.simulate(gaussian, **FINE).data, stamps.data, atol=1e-4)
        gaussian.remove_column("axis_ratio")
        assert_allclose(profiles.simulate(gaussian, **FINE).data, stamps.data, atol=1e-4)

    def test_the_centre_is_where_it_is_put(self, profiles, gaussian, moments):
        gaussian["dx"] = [0, 0.25, -0.5, 1.3, 3.0] * u.pix
        gaussian["dy"] = [0, -0.1, 0.5, -2.7, 0.01] * u.pix
        stamps = profiles.simulate(gaussian, psf=0.3 * u.arcsec, **FINE)
        for stamp, row in zip(stamps.data[:, 0], gaussian, strict=True):
            found = moments(stamp)
            assert abs(found.x - row["dx"].value) < 0.01
            assert abs(found.y - row["dy"].value) < 0.01

    def test_a_psf_adds_its_own_moments(self, profiles, gaussian, moments):
        galsim = pytest.importorskip("galsim")
        sharp = profiles.simulate(gaussian, **FINE)
        stamps = profiles.simulate(gaussian, psf=galsim.Gaussian(sigma=0.4), **FINE)
        for before, after in zip(sharp.data[:, 0], stamps.data[:, 0], strict=True):
            widths = [moments(stamp).size for stamp in (before, after)]
            assert abs(widths[1] ** 2 - widths[0] ** 2 - (0.4 / 0.05) ** 2) < 0.5

    def test_stamps_are_integrated_over_their_pixels(self, profiles, gaussian):
        fine = profiles.simulate(gaussian, psf=0.3 * u.arcsec, **FINE)
        coarse = profiles.simulate(
            gaussian, psf=0.3 * u.arcsec, pixel_scale=0.2 * u.arcsec, shape=64, rng=3
        )
        binned = fine.data.reshape(5, 1, 64, 4, 64, 4).sum((3, 5))
        assert_allclose(coarse.data, binned, atol=2e-3 * binned.max())

    def test_colours_are_those_of_the_columns(self, profiles, gaussian):
        gaussian["g_r"], gaussian["r_i"] = 0.7, 0.3
        stamps = profiles.simulate(gaussian, bands=("i", "r", "g"), **FINE)
        flux = stamps.data.sum((2, 3), dtype=float)
        assert_allclose(-2.5 * np.log10(flux[:, 2] / flux[:, 1]), 0.7, atol=1e-4)
        assert_allclose(-2.5 * np.log10(flux[:, 1] / flux[:, 0]), 0.3, atol=1e-4)
        assert_allclose(flux[:, 1], gaussian["flux"].value, rtol=1e-5)

    def test_fluxes_of_bands_are_kept_and_make_the_colour(self, profiles, gaussian):
        gaussian.rename_column("flux", "flux_r")
        gaussian["flux_g"] = gaussian["flux_r"] / 2
        stamps = profiles.simulate(gaussian, bands=("g", "r"), **FINE)
        flux = stamps.data.sum((2, 3))
        assert_allclose(flux[:, 0] / flux[:, 1], 0.5, rtol=1e-4)
        complete = profiles.complete(gaussian, rng=1)
        assert_allclose(complete["g_r"], 2.5 * np.log10(2), atol=1e-6)

    def test_bands_may_have_names_of_ones_own(self, profiles, gaussian):
        stamps = profiles.simulate(gaussian, bands={"F606W": "r", "F814W": "i"}, **FINE)
        assert stamps.bands == ("F606W", "F814W")
        plain = profiles.simulate(gaussian, bands=("r", "i"), **FINE)
        assert_array_equal(stamps.data, plain.data)


class TestColumns:
    def test_magnitudes_are_ab(self, profiles, table, options):
        stamps = profiles.simulate(table, **options)
        table["mag"] = table["flux"].to(u.ABmag)
        table.remove_column("flux")
        # Here AB magnitude 0 is 3631 Jy, in astropy 3630.78.
        assert_allclose(profiles.simulate(table, **options).data, stamps.data, rtol=1e-4)
        table["mag"] = table["mag"].value
        assert_allclose(profiles.simulate(table, **options).data, stamps.data, rtol=1e-4)
        counts = profiles.simulate(table, zero_point=31.4, **options)
        assert counts.unit == u.adu
        assert_allclose(counts.data, stamps.data, rtol=1e-4)

    def test_units_are_converted_and_names_are_free(self, profiles, table, options):
        stamps = profiles.simulate(table, **options)
        other = Table(
            {
                "F": table["flux"].to(u.Jy),
                "Re": table["half_light_radius"].to(u.deg),
                "q": table["axis_ratio"],
                "theta": table["position_angle"].to(u.rad),
            }
        )
        names = {
            "flux": "F", "half_light_radius": "Re", "axis_ratio": "q", "position_angle": "theta"
        }  # fmt: skip
        again = profiles.simulate(other, columns=names, unit="nJy", **options)
        assert again.unit == u.nJy
        assert_allclose(again.data, stamps.data, rtol=1e-4, atol=1e-6)

    def test_counts_stay_counts(self, profiles, table, options):
        table["flux"] = table["flux"].value * u.electron
        stamps = profiles.simulate(table, **options)
        assert stamps.unit == u.electron

    def test_sizes_in_kpc_and_absolute_magnitudes(self, profiles, options):
        table = QTable(
            {
                "absolute_mag": [-21.0, -20.0],
                "half_light_radius": [5.0, 3.0] * u.kpc,
                "redshift": [0.4, 0.2],
                "sersic_index": [0.5, 0.5],
            }
        )
        stamps = profiles.simulate(table, **{**options, "shape": 96})
        mag = table["absolute_mag"] + Planck18.distmod(table["redshift"]).value
        flux = (mag * u.ABmag).to_value(u.nJy)
        assert_allclose(stamps.data.sum((1, 2, 3)), flux, rtol=0.02)
        apparent = QTable(
            {
                "mag": mag,
                "half_light_radius": table["half_light_radius"]
                * Planck18.arcsec_per_kpc_proper(table["redshift"]),
                "sersic_index": [0.5, 0.5],
            }
        )
        again = profiles.simulate(apparent, **{**options, "shape": 96})
        assert_allclose(again.data, stamps.data, rtol=1e-4, atol=1e-6 * stamps.data.max())

    def test_what_is_masked_or_nan_in_optional_columns_is_drawn(self, profiles, table, options):
        table["sersic_index"] = [1.0, np.nan, 2.0, 3.0, 4.0]
        table["g_r"] = MaskedColumn([0.5] * 5, mask=[True, False, False, False, False])
        stamps = profiles.simulate(table, **options)
        assert not (stamps.flags & Flag.NO_RESULT).any()
        complete = profiles.complete(table, rng=3)
        assert 0.5 <= complete["sersic_index"][1] <= 5
        assert 0 <= complete["g_r"][0] <= 1.2
        assert complete["g_r"][1] == 0.5

    def test_classes_by_name_by_probability_or_by_votes(self, profiles, table):
        table["class"] = ["spiral", "in_between", "", "edge_on", "cigar_shaped"]
        complete = profiles.complete(table, rng=1)
        assert complete["class_spiral"][0] == 1
        assert complete["class_in_between"][1] == 1
        total = sum(complete[f"class_{name}"][2] for name in (
            "completely_round", "in_between", "cigar_shaped", "edge_on", "spiral"
        ))  # fmt: skip
        assert abs(total - 1) < 1e-5
        table.remove_column("class")
        for name in ("a16_completely_round", "a17_in_between", "a18_cigar_shaped"):
            table[f"t07_rounded_{name}"] = 0.1
        table["t02_edgeon_a04_yes"] = 0.1
        table["t04_spiral_a08_spiral"] = [0.6, 0.6, 0.6, 0.6, np.nan]
        complete = profiles.complete(table, rng=1)
        assert_allclose(complete["class_spiral"][:4], 0.6, atol=1e-6)
        assert 0 <= complete["class_spiral"][4] <= 1

    def test_wide_columns_and_texts_are_refused(self, profiles, table, options):
        table["sersic_index"] = np.ones((5, 2))
        with pytest.raises(ValueError, match="'sersic_index' must have one number a row"):
            profiles.simulate(table, **options)
        table["sersic_index"] = ["a"] * 5
        with pytest.raises(TypeError, match="'sersic_index' must hold numbers"):
            profiles.simulate(table, **options)


class TestRows:
    def test_a_row_depends_on_the_seed_and_its_number_alone(self, lively, table, options):
        table.remove_columns(["axis_ratio", "position_angle"])
        stamps = lively.simulate(table, **options)
        again = lively.simulate(table[:3], **options)
        assert_array_equal(again.data, stamps.data[:3])
        table["flux"][1] = np.nan * u.nJy
        third = lively.simulate(table, **options).data[[0, 2, 3, 4]]
        assert_array_equal(third, stamps.data[[0, 2, 3, 4]])
        other = lively.simulate(table, **{**options, "rng": 4})
        assert np.abs(other.data[0] - stamps.data[0]).max() > 1

    def test_a_generator_gives_the_seed(self, lively, table, options):
        first, second = (
            lively.simulate(table, **{**options, "rng": np.random.default_rng(5)}) for _ in range(2)
        )
        assert_array_equal(first.data, second.data)
        seed = first.meta["astrodlkit"]["seed"]
        third = lively.simulate(table, **{**options, "rng": seed})
        assert_array_equal(first.data, third.data)

    @pytest.mark.parametrize("batch_size", [1, 40, 1024])
    def test_a_stream_is_the_same(self, lively, options, batch_size):
        rng = np.random.default_rng(0)
        n = 150 if batch_size > 1 else 5
        table = QTable(
            {"mag": rng.uniform(20, 24, n), "half_light_radius": rng.uniform(0.3, 1, n) * u.arcsec}
        )
        table["coord"] = SkyCoord(rng.uniform(10, 11, n), rng.uniform(-5, -4, n), unit="deg")
        options["shape"] = 24
        whole = lively.simulate(table, **options)
        done = []
        parts = list(
            lively.stream(
                table, batch_size=batch_size, progress=lambda *step: done.append(step), **options
            )
        )
        assert max(len(part) for part in parts) <= batch_size
        assert done[-1] == (n, n)
        assert_allclose(np.concatenate([part.data for part in parts]), whole.data, rtol=1e-5)
        assert_array_equal(np.concatenate([part.flags for part in parts]), whole.flags)
        assert parts[-1].positions[-1].separation(table["coord"][-1]) < 1e-9 * u.deg

    @pytest.mark.parametrize("middle", [32, 41, 90])
    def test_two_parts_are_the_whole(self, lively, options, middle):
        rng = np.random.default_rng(0)
        table = QTable(
            {
                "mag": rng.uniform(20, 24, 90),
                "half_light_radius": rng.uniform(0.3, 1, 90) * u.arcsec,
            }
        )
        noise = NoiseModel(background_rms=1 * u.nJy)
        options |= {"shape": 24, "noise": noise, "bands": ("g", "r")}
        whole = lively.simulate(table, **options)
        head = lively.simulate(table[:middle], **options)
        for tail in (
            lively.simulate(table[middle:], first=middle, **options),
            simulate_galaxies(table[middle:], model=lively, first=np.int64(middle), **options),
        ):
            both = Cutouts.concatenate([head, tail])
            assert_array_equal(both.data, whole.data)
            assert_array_equal(both.variance, whole.variance)
            assert_array_equal(both.flags, whole.flags)
        parts = list(lively.stream(table[middle:], first=middle, batch_size=20, **options))
        assert len(parts) == -(-(90 - middle) // 20)
        for k, part in enumerate(parts):
            assert_array_equal(part.data, whole.data[middle + 20 * k :][: len(part)])
        complete = lively.complete(table, rng=3)
        part = lively.complete(table[middle:], first=middle, rng=3)
        assert_array_equal(part["latent"], complete["latent"][middle:])

    def test_wrong_first_rows(self, lively, table, options):
        for first in (0.5, True, None):
            with pytest.raises(TypeError, match="first must be a whole number"):
                lively.simulate(table, first=first, **options)
        for first in (-1, 2**63):
            with pytest.raises(ValueError, match="first must be from 0"):
                lively.simulate(table, first=first, **options)

    def test_no_row_and_one_row(self, profiles, table, options):
        stamps = profiles.simulate(table[:0], **options)
        assert stamps.data.shape == (0, 1, 48, 48)
        assert profiles.simulate(table[:1], **options).data.shape == (1, 1, 48, 48)
        assert list(profiles.stream(table[:0], **options)) == []
        assert len(profiles.complete(table[:0])) == 0

    def test_big_endian_read_only_and_half_precision(self, profiles, table, options):
        stamps = profiles.simulate(table, **options)
        plain = Table(table)
        for name in plain.colnames:
            values = np.asarray(plain[name]).astype(">f8")
            values.flags.writeable = False
            unit = plain[name].unit
            plain.replace_column(name, Table.Column(values, unit=unit, copy=False))
        assert_array_equal(profiles.simulate(plain, **options).data, stamps.data)
        table["axis_ratio"] = table["axis_ratio"].astype(np.float16)
        assert_allclose(profiles.simulate(table, **options).data, stamps.data, atol=0.02)

    @pytest.mark.parametrize(
        "bad",
        [
            ("flux", -1.0, Flag.INVALID_VALUE),
            ("flux", np.nan, Flag.INVALID_VALUE),
            ("flux", np.inf, Flag.INVALID_VALUE),
            ("mag", -1e4, Flag.INVALID_VALUE),
            ("half_light_radius", 0.0, Flag.INVALID_SIZE),
            ("half_light_radius", -1.0, Flag.INVALID_SIZE),
            ("half_light_radius", np.nan, Flag.INVALID_SIZE),
            ("half_light_radius", 1e5, Flag.INVALID_SIZE),
            ("axis_ratio", 1.2, Flag.INVALID_VALUE),
            ("axis_ratio", 0.0, Flag.INVALID_VALUE),
            ("axis_ratio", np.inf, Flag.INVALID_VALUE),
            ("position_angle", np.inf, Flag.INVALID_VALUE),
        ],
    )
    def test_a_bad_value_is_a_flag(self, profiles, table, options, bad):
        column, value, flag = bad
        if column == "mag":
            table["mag"] = table["flux"].to_value(u.ABmag)
            table.remove_column("flux")
        good = profiles.simulate(table, **options)
        getattr(table[column], "value", table[column])[1] = value
        with np.errstate(all="raise", under="ignore"):
            stamps = profiles.simulate(table, **options)
        assert stamps.flags[1] & flag
        assert stamps.flags[1] & Flag.NO_RESULT
        assert stamps.mask[1].all()
        assert_array_equal(stamps.data[[0, 2, 3, 4]], good.data[[0, 2, 3, 4]])

    def test_no_flux_is_an_empty_stamp(self, profiles, table, options):
        table["flux"][1] = 0 * u.nJy
        stamps = profiles.simulate(table, **options)
        assert not stamps.data[1].any()
        assert not stamps.mask[1].any()
        assert not stamps.flags[1] & Flag.NO_RESULT

    def test_asking_for_too_much_is_flagged(self, profiles, table, options):
        table["psf_fwhm"], table["sersic_index"] = 0.4, [1, 1, 1, 1, 9.0]
        flags = profiles.simulate(table, **options).flags
        # A radius of 1.2 arcsec has a template with a PSF of 0.48, and pixels of its own.
        assert_array_equal((flags & Flag.LOW_RESOLUTION) != 0, False)
        assert flags[4] & Flag.OUTSIDE_DOMAIN
        assert not flags[0] & Flag.OUTSIDE_DOMAIN
        flags = profiles.simulate(table, **{**options, "psf": 0.3 * u.arcsec}).flags
        assert_array_equal((flags & Flag.LOW_RESOLUTION) != 0, [False, False, True, False, False])


def test_without_galsim_it_says_what_to_install():
    code = (
        "import sys; sys.modules['galsim'] = None\n"
        "import pytest, astropy.units as u, astrodlkit\n"
        "from astrodlkit.galaxies import _psf\n"
        "with pytest.raises(astrodlkit.exceptions.MissingDependencyError, match='galsim'):\n"
        "    _psf.galsim()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_function_takes_a_model_or_its_folder(lively, folder, table, options):
    stamps = lively.simulate(table, **options)
    for model in (lively, folder):
        again = simulate_galaxies(table, model=model, device="cpu", **options)
        assert_array_equal(again.data, stamps.data)
    assert again.meta["astrodlkit"]["sha256"] == load_model(folder).card.weights.sha256
