"""The gallery shows the right stamps, in the right order, as the network saw them."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.table import QTable
from astropy.utils import minversion
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from photutils.segmentation import SourceCatalog, detect_sources

from astrodlkit import CutoutClassifier, Cutouts
from astrodlkit.classify import plot_gallery
from astrodlkit.specs import Head, OutputSpec, Picture

BANDS = ("red", "green", "blue")
WHITE = Picture(white=1.0)


@pytest.fixture
def table():
    """A made-up result: row i is a picture whose channels have the levels i, 2i and 3i."""
    levels = np.arange(10)[:, None] * np.array([1, 2, 3])
    return QTable(
        {
            "cutout": np.broadcast_to(levels[:, :, None, None], (10, 3, 32, 32)).astype(float),
            "class": ["a", "b", "b", "b", "a", "c", "", "b", "b", "a"],
            "class_probability": [0.9, 0.5, 0.7, 0.6, 0.8, 1.0, np.nan, 0.8, 0.9, 0.3],
        }
    )


def shown(figure):
    """Row of each stamp, by its red level, from left to right and from top to bottom."""
    axes = sorted(figure.axes, key=lambda a: (-round(a.get_position().y0, 3), a.get_position().x0))
    return [round(float(a.images[0].get_array()[0, 0, 0] * 255)) for a in axes]


def words(figure):
    return [text.get_text() for text in figure.texts]


def test_order(table, classifier):
    figure = plot_gallery(table, bands=BANDS, model=classifier, n_columns=3)
    # The largest class first; in it the surest; three at most; no row without a result.
    assert shown(figure) == [8, 7, 2, 0, 4, 9, 5]
    assert words(figure) == [
        "A network of random numbers",
        *("b", "3 of 5", "a", "3 of 3", "c", "1 of 1"),
    ]


def test_classes_of_another_name(table, classifier):
    head = Head(name="kind", kind="classes", labels=("a", "b", "c"), column="predicted_kind")
    card = replace(classifier.card, output=OutputSpec(heads=(head,)))
    tuned = CutoutClassifier(card, classifier.module, device="cpu")
    wanted = shown(plot_gallery(table, bands=BANDS, model=classifier, n_columns=3))
    table.rename_column("class", "predicted_kind")
    table.rename_column("class_probability", "predicted_kind_probability")
    table["class"] = "theirs"
    assert shown(plot_gallery(table, bands=BANDS, model=tuned, n_columns=3)) == wanted


def test_lines(table, classifier):
    figure = plot_gallery(table, bands=BANDS, model=classifier, n_columns=2, n_rows=2)
    assert shown(figure) == [8, 7, 2, 3, 0, 4, 9, 5]
    boxes = [axes.get_position() for axes in figure.axes]
    for i, box in enumerate(boxes):
        assert 0 < box.x0 < box.x1 < 1
        assert 0 < box.y0 < box.y1 < 1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_sizes_of_a_photutils_catalogue(classifier):
    y, x = np.mgrid[:200, :200]
    image = sum(
        np.exp(-0.5 * (((x - x0) / 6) ** 2 + ((y - y0) / 3) ** 2))
        for x0, y0 in ((60, 60), (140, 120))
    )
    sources = SourceCatalog(image, detect_sources(image, 0.01, 5))
    result = classifier.predict(sources, np.stack([image] * 3), bands=BANDS, stretch=WHITE)
    rule = result.meta["astrodlkit"]["size"]
    assert "kron_radius" in rule
    again = classifier.predict(result, np.stack([image] * 3), bands=BANDS, stretch=WHITE)
    assert again.meta["astrodlkit"]["size"] == rule
    assert_array_equal(again["class_probability"], result["class_probability"])


def test_stamps_are_what_the_network_saw(pictures, classifier):
    table = classifier.predict(QTable({"cutout": pictures}), bands=BANDS)
    figure = plot_gallery(table, bands=BANDS, model=classifier, n_columns=12)
    images, _ = classifier.card.input.prepare(Cutouts(pictures, bands=BANDS))
    expected = np.clip(images * 0.2 + 0.2, 0, 1).transpose(0, 2, 3, 1)
    drawn = np.array([axes.images[0].get_array() for axes in figure.axes])
    assert len(drawn) == len(pictures)
    for picture in drawn:
        assert np.abs(expected - picture).max(axis=(1, 2, 3)).min() < 1e-6


def test_positions_sizes_and_cutouts(table, classifier):
    """The three ways to have pixels show the same."""
    cutouts = Cutouts(table["cutout"], bands=BANDS)
    bare = QTable(table[["class", "class_probability"]])
    assert shown(plot_gallery(bare, cutouts, model=classifier)) == shown(
        plot_gallery(table, bands=BANDS, model=classifier)
    )
    # One image with the ten stamps in a line; the rows' sizes are given one by one.
    bare["x"], bare["y"] = 15.5 + 32 * np.arange(10), 15.5
    data = dict(zip(BANDS, np.concatenate(list(table["cutout"]), axis=2), strict=True))
    for size in (32, np.full(10, 16)):
        figure = plot_gallery(bare, data, size=size, model=classifier)
        assert shown(figure) == shown(plot_gallery(table, bands=BANDS, model=classifier))


@pytest.mark.skipif(
    not minversion("matplotlib", "3.10"), reason="older versions draw stamps and text otherwise"
)
@pytest.mark.mpl_image_compare(
    filename="gallery.png", style="default", tolerance=8, savefig_kwargs={"dpi": 60}
)
def test_picture(table, classifier):
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    blobs = np.exp(-4 * (x**2 + (y / np.linspace(0.3, 1, 10)[:, None, None]) ** 2))
    table["cutout"] = 255 * blobs[:, None] * np.array([1.0, 0.8, 0.6])[:, None, None]
    return plot_gallery(table, bands=BANDS, model=classifier, n_columns=5)


def test_nothing_to_show(table, classifier):
    assert plot_gallery(table[:0], bands=BANDS, model=classifier).axes == []
    assert plot_gallery(table[6:7], bands=BANDS, model=classifier).axes == []


def test_pyplot_is_left_alone_unless_asked(table, classifier, tmp_path):
    before = plt.get_fignums()
    figure = plot_gallery(table, bands=BANDS, model=classifier)
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == before
    figure.savefig(tmp_path / "gallery.png")
    image = plt.imread(tmp_path / "gallery.png")
    assert_allclose(
        image.shape[1] / image.shape[0], np.divide(*figure.get_size_inches()), rtol=0.01
    )

    own = Figure()
    assert plot_gallery(table, bands=BANDS, model=classifier, figure=own) is own
    assert_array_equal(own.get_size_inches(), figure.get_size_inches())


def test_wrong_arguments(table, classifier):
    with pytest.raises(ValueError, match=r"result of classify_cutouts.*\['class'\]"):
        plot_gallery(table[["cutout", "class_probability"]], model=classifier)
    for wrong in ({"n_columns": 0}, {"n_rows": -1}):
        with pytest.raises(ValueError, match="n_columns and n_rows must be positive"):
            plot_gallery(table, bands=BANDS, model=classifier, **wrong)
