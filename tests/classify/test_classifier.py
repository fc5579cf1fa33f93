"""The object: streams, features, views, precision, device, files."""

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.table import QTable, vstack
from numpy.testing import assert_allclose, assert_array_equal

import astrodlkit
from astrodlkit import CutoutClassifier, Cutouts, classify_cutouts, load_model
from astrodlkit.cutouts import iter_cutouts
from astrodlkit.networks import build
from astrodlkit.specs import Picture

SURFACE = u.nmgy / u.arcsec**2
VOTE = "t01_smooth_or_features_a01_smooth"


@pytest.fixture
def table(pictures):
    return QTable({"id": np.arange(12), "cutout": pictures * SURFACE})


def test_repr(classifier):
    assert repr(classifier) == "<CutoutClassifier small.v1 on cpu>"


def test_the_network_is_shown_what_the_specification_prepares(classifier, pictures):
    cutouts = Cutouts(pictures, unit=SURFACE, bands=("i", "r", "g"))
    images, _ = classifier.card.input.prepare(cutouts)
    with torch.no_grad():
        expected = classifier.module(torch.from_numpy(images))
        features = classifier.module.features(torch.from_numpy(images))
    result = classifier.predict(cutouts, precision="float32")
    assert_allclose(result[VOTE], expected["votes"][:, 0], atol=1e-6)
    assert_allclose(result["class_probability"], expected["class"].max(dim=1).values, atol=1e-6)
    assert_allclose(classifier.embed(cutouts, precision="float32"), features, atol=1e-5)


def test_threads_may_share_a_classifier(table):
    shared, alone = (load_model("galaxyzoo2", device="cpu") for _ in range(2))
    expected = alone.predict(table[:4])
    with ThreadPoolExecutor(4) as pool:  # the first calls make the copies that are run
        calls = [pool.submit(shared.predict, table[i:4]) for i in range(4)]
    for i, call in enumerate(calls):
        assert_array_equal(call.result()["class"], expected["class"][i:])
        assert_allclose(call.result()[VOTE], expected[VOTE][i:], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
def test_a_stream_is_the_prediction_in_order(classifier, table, batch_size):
    whole = classifier.predict(table)
    stream = classifier.stream(table, batch_size=batch_size)
    assert isinstance(stream, Iterator)
    parts = list(stream)
    assert [len(part) for part in parts[:-1]] == [batch_size] * (len(parts) - 1)
    joined = vstack(parts)
    assert joined.colnames == whole.colnames
    assert_array_equal(joined["id"], whole["id"])
    assert_array_equal(joined["class"], whole["class"])
    assert_allclose(joined[VOTE], whole[VOTE], atol=1e-5)
    assert joined.meta["astrodlkit"]["model"] == "small.v1"


def test_a_stream_of_no_rows_is_one_table_of_no_rows(classifier, table):
    (part,) = classifier.stream(table[:0])
    assert part.colnames == classifier.predict(table).colnames
    assert len(part) == 0


def test_a_stream_of_tables(classifier, table):
    parts = list(classifier.stream(iter([table[:7], table[7:]]), batch_size=5))
    assert [len(part) for part in parts] == [5, 2, 5]
    assert_array_equal(vstack(parts)["id"], table["id"])
    image = np.tile(table["cutout"][0, 0].value, (3, 3))
    cutouts = iter_cutouts(image, {"x": [20, 40, 60], "y": [20, 40, 60]}, 32, chunk=2)
    parts = list(classifier.stream(cutouts, stretch=Picture(white=1.0)))
    assert [len(part) for part in parts] == [2, 1]


def test_a_stream_works_on_what_is_asked_for(classifier, pictures):
    made = []

    def tables():
        for i in range(100):
            made.append(i)
            yield {"cutout": pictures[:1] * SURFACE}

    assert len(list(islice(classifier.stream(tables()), 3))) == 3
    assert made == [0, 1, 2]


def test_mistakes_show_before_a_stream_is_read(classifier, table):
    with pytest.raises(ValueError, match="views must be"):
        classifier.stream(table, views=5)
    with pytest.raises(ValueError, match="table has no column 'cutout'"):
        classifier.stream(table["id",])


def test_memory_does_not_grow_with_the_rows(classifier):
    stamp = np.random.default_rng(0).normal(0, 0.1, (3, 32, 32)).astype(np.float32)

    def peak(n):
        # A view that repeats one stamp: the table itself takes no memory.
        cutouts = np.broadcast_to(stamp, (n, *stamp.shape))
        table = QTable({"row": np.arange(n)})
        table.add_column(cutouts, name="cutout", copy=False)
        tracemalloc.start()
        rows = sum(len(part) for part in classifier.stream(table, batch_size=50, **options))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert rows == n
        return most

    options = {"stretch": Picture(white=1.0)}
    peak(100)
    assert peak(1500) < 1.2 * peak(300)


def test_progress(classifier, table):
    calls = []
    classifier.predict(table, batch_size=5, progress=lambda *call: calls.append(call))
    assert calls == [(5, 12), (10, 12), (12, 12)]


def test_more_views_are_the_mean_over_turned_and_mirrored_pictures(classifier, pictures):
    def votes(stamps, views=1):
        cutouts = Cutouts(stamps, unit=SURFACE, bands=("i", "r", "g"))
        return np.array(classifier.predict(cutouts, views=views)[VOTE])

    turned = [np.rot90(pictures, turn, (2, 3)) for turn in range(4)]
    mirrored = [np.rot90(pictures[..., ::-1], turn, (2, 3)) for turn in range(4)]
    alone = [votes(stamps) for stamps in (*turned, *mirrored)]
    assert np.ptp(alone, axis=0).max() > 1e-3
    assert_allclose(votes(pictures, 2), (alone[0] + alone[2]) / 2, atol=1e-5)
    assert_allclose(votes(pictures, 4), np.mean(alone[:4], axis=0), atol=1e-5)
    eight = votes(pictures, 8)
    assert_allclose(eight, np.mean(alone, axis=0), atol=1e-5)
    for stamps in (*turned, *mirrored):
        assert_allclose(votes(stamps, 8), eight, atol=1e-5)


def test_views_apply_to_features(classifier, table):
    assert not np.allclose(classifier.embed(table), classifier.embed(table, views=8))


def test_one_band_serves_as_all_three(classifier, pictures):
    grey = pictures[:, :1] * SURFACE
    single = classifier.predict({"cutout": grey[:, 0]})
    assert_array_equal(single[VOTE], classifier.predict({"cutout": grey})[VOTE])
    assert_array_equal(single[VOTE], classifier.predict({"cutout": grey}, bands="r")[VOTE])
    named = Cutouts(pictures, unit=SURFACE, bands=("i", "r", "g"))
    assert_array_equal(single[VOTE], classifier.predict(named, bands="i")[VOTE])


def test_bands_by_name_order_and_dict(classifier, pictures):
    expected = classifier.predict({"cutout": pictures * SURFACE})[VOTE]
    turned = pictures[:, [2, 0, 1]] * SURFACE  # g, i, r
    assert_array_equal(
        classifier.predict({"cutout": turned}, bands=("g", "i", "r"))[VOTE], expected
    )
    names = ("F475W", "F814W", "F625W")
    cutouts = Cutouts(turned, bands=names)
    by_order = classifier.predict(cutouts, bands=("F814W", "F625W", "F475W"))
    assert_array_equal(by_order[VOTE], expected)
    by_name = dict(zip("gir", names, strict=True))
    assert_array_equal(classifier.predict(cutouts, bands=by_name)[VOTE], expected)
    more = np.concatenate([turned, turned[:, :1]], axis=1)
    five = Cutouts(more, bands=("g", "i", "r", "z"))
    assert_array_equal(classifier.predict(five)[VOTE], expected)


def test_bands_of_images(classifier, pictures):
    images = {name: np.tile(pictures[0, i], (2, 2)) for i, name in enumerate("irg")}
    table = {"x": [20.0], "y": [30.0]}
    options = {"size": 20, "stretch": Picture(white=1.0)}
    expected = classifier.predict(table, images, **options)[VOTE]
    reordered = {"u": images["g"] * 0, **{name: images[name] for name in "gri"}}
    assert_array_equal(classifier.predict(table, reordered, **options)[VOTE], expected)
    stacked = np.stack(list(images.values()))
    assert_array_equal(classifier.predict(table, stacked, **options)[VOTE], expected)
    listed = [images[name] for name in "gri"]
    assert_array_equal(
        classifier.predict(table, listed, bands=("g", "r", "i"), **options)[VOTE], expected
    )
    single = classifier.predict(table, images, bands="r", **options)[VOTE]
    assert_array_equal(classifier.predict(table, images["r"], **options)[VOTE], single)


def test_a_picture_needs_no_stretch(classifier, pictures):
    picture = np.clip(255 * pictures, 0, 255).astype(np.uint8)
    named = classifier.predict({"cutout": picture}, bands=("red", "green", "blue"))
    expected = classifier.predict({"cutout": picture}, stretch=Picture(white=255.0))
    assert_array_equal(named[VOTE], expected[VOTE])


def test_flux_per_pixel_is_the_surface_brightness_it_means(classifier, pictures):
    """The same sky, in nmgy per pixel and in nmgy per square arcsecond, on finer pixels."""
    from astropy.nddata import CCDData
    from astropy.wcs import WCS

    y, x = np.mgrid[:80, :80]
    sky = np.exp(-np.hypot(x - 40, y - 38) / 4)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = [40, 40], [9, 8], [-1e-4, 1e-4]
    table = {"x": [40.0], "y": [38.0], "petroR90": [3.0]}
    area = (0.36 * u.arcsec) ** 2
    brightness = classifier.predict(table, CCDData(sky * SURFACE, wcs=wcs))
    flux = classifier.predict(table, CCDData((sky * SURFACE * area).to("nmgy"), wcs=wcs))
    jansky = classifier.predict(table, CCDData(sky * area.value * 3.631e-6, unit="Jy", wcs=wcs))
    assert_allclose(flux[VOTE], brightness[VOTE], atol=1e-4)
    assert_allclose(jansky[VOTE], brightness[VOTE], atol=1e-4)
    box = slice(22, 54), slice(24, 56)  # as many pixels as the network takes
    column = np.empty(2, dtype=object)
    column[0] = CCDData((sky[box] * SURFACE * area).to("nmgy"), wcs=wcs[box])
    column[1] = sky[box] * SURFACE
    flux, brightness = classifier.predict({"cutout": column})[VOTE]
    assert flux == pytest.approx(brightness, abs=1e-4)


def test_bfloat16_is_taken_only_where_it_is_near(classifier, table, monkeypatch):
    full = classifier.predict(table, precision="float32")
    short = classifier.predict(table, precision="bfloat16")
    assert 0 < np.abs(full[VOTE] - short[VOTE]).max() < 0.05
    for difference, expected in [(0.05, "bfloat16"), (0.1, "float32")]:
        fresh = CutoutClassifier(classifier.card, classifier.module, device="cpu")
        fresh.__dict__["bfloat16_difference"] = difference
        monkeypatch.setattr("astrodlkit.engine._device._has_bfloat16", lambda device: True)
        assert fresh.predict(table).meta["astrodlkit"]["precision"] == expected


def test_the_difference_is_measured_on_the_same_galaxies_in_every_run(classifier):
    again = CutoutClassifier(classifier.card, classifier.module, device="cpu")
    assert again.bfloat16_difference == pytest.approx(classifier.bfloat16_difference, abs=1e-6)
    assert 0 < classifier.bfloat16_difference < 0.5


def test_a_network_left_in_training_mode_is_put_back(classifier, table):
    before = classifier.predict(table)[VOTE]
    classifier.module.train()
    assert_array_equal(classifier.predict(table)[VOTE], before)
    assert not classifier.module.training


@pytest.fixture(scope="module")
def real_network(classifier):
    """The architecture of the bundled model, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build("galaxy-zoo")
    return CutoutClassifier(classifier.card, module, device="cpu")


def test_saved_and_loaded_it_answers_the_same(real_network, pictures, tmp_path):
    card = real_network.save(tmp_path)
    assert card.weights.file == "small.safetensors"
    with pytest.raises(FileExistsError):
        real_network.save(tmp_path)
    real_network.save(tmp_path, overwrite=True)
    loaded = load_model(tmp_path, device="cpu")
    table = {"cutout": pictures[:3] * SURFACE}
    result = classify_cutouts(table, model=tmp_path)
    assert result.meta["astrodlkit"]["sha256"] == card.weights.sha256
    assert_array_equal(result[VOTE], loaded.predict(table)[VOTE])
    # The file holds float16.
    assert_allclose(result[VOTE], real_network.predict(table)[VOTE], atol=1e-2)


def test_a_real_network_has_features(real_network, pictures):
    features = real_network.embed({"cutout": pictures[:3] * SURFACE})
    assert features.shape == (3, 1280)
    assert features.dtype == np.float32


def test_the_package_offers_both(classifier):
    assert astrodlkit.CutoutClassifier is CutoutClassifier
    assert astrodlkit.classify_cutouts is classify_cutouts
