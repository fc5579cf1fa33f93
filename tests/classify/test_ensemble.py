"""Errors, intervals and spread: over views, and over classifiers that answer together."""

import tracemalloc
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.table import QTable, vstack
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import CutoutClassifier, Cutouts, ModelCard, classify_cutouts
from astrodlkit.classify import ClassifierEnsemble
from astrodlkit.specs import Calibration, Head, OutputSpec, Picture

SURFACE = u.nmgy / u.arcsec**2
VOTE = "t01_smooth_or_features_a01_smooth"
VOTES = Calibration(
    n=100,
    knots=(0, 0.5, 1),
    widths=((0.05, 0.2, 0.05), (0.1, 0.4, 0.1)),
    factors=((1.0,) * 37, (1.0,) * 37),
)
CLASSES = Calibration(n=100, temperature=2.0, knots=(0.2, 1), widths=((0.1, 0.02),))


def with_calibrations(classifier, votes, classes, **changes):
    card = classifier.card
    heads = tuple(
        replace(head, calibration=calibration)
        for head, calibration in zip(card.output.heads, (votes, classes), strict=True)
    )
    card = replace(card, output=OutputSpec(heads=heads), **changes)
    return CutoutClassifier(card, classifier.module, device="cpu")


@pytest.fixture(scope="module")
def calibrated(classifier):
    return with_calibrations(classifier, VOTES, CLASSES)


@pytest.fixture(scope="module")
def others(classifier):
    """Networks of the same form with other numbers; the last wants smaller pictures."""
    members = []
    for seed, shape in ((1, (32, 32)), (2, (32, 32)), (3, (28, 28))):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = type(classifier.module)()
        spec = replace(classifier.card.input, shape=shape)
        card = replace(classifier.card, name=f"other{seed}", input=spec)
        members.append(CutoutClassifier(card, module, device="cpu"))
    return members


@pytest.fixture
def table(pictures):
    return QTable({"id": np.arange(12), "cutout": pictures * SURFACE})


def test_columns_of_a_calibrated_classifier(calibrated, classifier, table):
    plain, result = classifier.predict(table), calibrated.predict(table)
    added = [name for name in result.colnames if name not in plain.colnames]
    labels = classifier.card.output.heads[0].labels
    assert added == [*(f"{name}_error" for name in labels), "class_probability_error"]
    assert tuple(result.colnames[2:-1]) == calibrated.output.columns
    for name in added:
        assert result[name].dtype == np.float32
        assert result[name].info.description
    assert_array_equal(result[VOTE], plain[VOTE])
    assert_allclose(result[VOTE + "_error"], np.interp(plain[VOTE], *VOTES_68), atol=1e-6)
    assert_array_equal(result["class"], plain["class"])
    assert (np.array(result["class_probability"]) < plain["class_probability"]).all()


VOTES_68 = (VOTES.knots, VOTES.widths[0])


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_intervals(calibrated, table, level):
    result = calibrated.predict(table, interval=level)
    low, high = (np.array(result[f"{VOTE}_{end}"]) for end in ("low", "high"))
    width = np.interp(result[VOTE], VOTES.knots, VOTES.widths[level == 0.95])
    assert_allclose(low, np.clip(result[VOTE] - width, 0, None), atol=1e-6)
    assert_allclose(high, np.clip(result[VOTE] + width, None, 1), atol=1e-6)
    assert f"{level:.0%}" in result[VOTE + "_low"].info.description
    assert not set(result.colnames) & {"class_probability_low", "class_low"}


def test_intervals_that_cannot_be_given(classifier, calibrated, table):
    with pytest.raises(ValueError, match=r"interval must be one of \(0.68, 0.95\), got 0.9"):
        calibrated.predict(table, interval=0.9)
    with pytest.raises(ValueError, match=r"interval must be left out, got 0.95: no head"):
        classifier.stream(table, interval=0.95)


def test_spread_over_views(classifier, pictures):
    def one(stamps):
        return classifier.predict(Cutouts(stamps, unit=SURFACE, bands=("i", "r", "g")))

    alone = [one(np.rot90(pictures, turn, (2, 3))) for turn in range(4)]
    result = classifier.predict({"cutout": pictures * SURFACE}, views=4)
    assert_allclose(result[VOTE + "_spread"], np.std([r[VOTE] for r in alone], axis=0), atol=1e-5)
    certain = np.all([r["class"] == result["class"] for r in alone], axis=0)
    assert certain.any()
    expected = np.std([r["class_probability"] for r in alone], axis=0)
    assert_allclose(result["class_probability_spread"][certain], expected[certain], atol=1e-5)
    assert VOTE + "_spread" not in classifier.predict({"cutout": pictures * SURFACE}).colnames


@pytest.mark.parametrize("views", [1, 4])
def test_mean_and_spread_over_classifiers(others, pictures, views):
    ensemble = ClassifierEnsemble(others)
    result = ensemble.predict({"cutout": pictures * SURFACE}, views=views)
    turned = [np.rot90(pictures, turn, (2, 3)) * SURFACE for turn in range(views)]
    votes = [member.predict({"cutout": each})[VOTE] for member in others for each in turned]
    assert np.ptp(votes, axis=0).max() > 0.01
    assert_allclose(result[VOTE], np.mean(votes, axis=0), atol=1e-5)
    assert_allclose(result[VOTE + "_spread"], np.std(votes, axis=0), atol=1e-5)


def test_pictures_are_prepared_once_for_all_that_are_shown_the_same(others, table, monkeypatch):
    calls = []
    prepare = type(others[0].card.input).prepare

    def counted(spec, *args, **kwargs):
        calls.append(spec.shape)
        return prepare(spec, *args, **kwargs)

    monkeypatch.setattr(type(others[0].card.input), "prepare", counted)
    ClassifierEnsemble(others).predict(table)
    assert sorted(calls) == [(28, 28), (32, 32)]


def test_streams_and_verb(others, table):
    whole = classify_cutouts(table, model=others)
    parts = list(ClassifierEnsemble(others).stream(iter([table[:7], table[7:]]), batch_size=5))
    assert [len(part) for part in parts] == [5, 2, 5]
    joined = vstack(parts)
    assert joined.colnames == whole.colnames
    assert_allclose(joined[VOTE + "_spread"], whole[VOTE + "_spread"], atol=1e-5)
    assert joined.meta["astrodlkit"]["model"] == "other1.v1, other2.v1, other3.v1"
    assert_array_equal(
        classify_cutouts(table, model=others[:1])["class"], others[0].predict(table)["class"]
    )


def test_no_rows(calibrated, others, table):
    for predictor in (calibrated, ClassifierEnsemble([calibrated, calibrated])):
        options = {"views": 2, "interval": 0.68}
        full, empty = predictor.predict(table, **options), predictor.predict(table[:0], **options)
        assert empty.colnames == full.colnames
        assert {n: empty[n].dtype for n in full.colnames[2:] if n != "class"} == {
            n: full[n].dtype for n in full.colnames[2:] if n != "class"
        }


def test_rows_without_result_have_no_errors(calibrated, pictures):
    pictures = pictures.copy()
    pictures[1] = np.nan
    ensemble = ClassifierEnsemble([calibrated, calibrated])
    result = ensemble.predict({"cutout": pictures * SURFACE}, views=2, interval=0.95)
    numbers = [n for n in result.colnames[1:] if result[n].dtype.kind == "f"]
    assert len(numbers) == 37 * 5 + 3
    lost = np.array([np.isnan(result[name]) for name in numbers])
    assert lost[:, 1].all()
    assert not lost[:, [0, 2]].any()


def test_a_clash_with_what_is_asked_for(calibrated, table):
    table[VOTE + "_low"] = 1
    calibrated.predict(table)
    with pytest.raises(ValueError, match=f"names of the result's: .*{VOTE}_low"):
        calibrated.predict(table, interval=0.95)


def test_calibration_of_several(classifier, calibrated):
    wider = Calibration(
        n=50,
        knots=(0, 1),
        widths=((0.1, 0.1), (0.2, 0.2)),
        factors=((3.0,) * 37, (1.0,) * 37),
    )
    colder = replace(CLASSES, temperature=0.5)
    both = ClassifierEnsemble([calibrated, with_calibrations(classifier, wider, colder)])
    votes, classes = (head.calibration for head in both.output.heads)
    assert votes.n == 50
    assert_allclose(votes.widths, ((0.075, 0.15, 0.075), (0.15, 0.3, 0.15)))
    assert votes.factors[0][0] == 2
    assert classes.temperature == pytest.approx(1)
    assert ClassifierEnsemble([calibrated, classifier]).output.heads[0].calibration is None


def test_members_that_do_not_go_together(classifier):
    heads = (Head(name="kind", kind="classes", labels=("ring", "other")),)
    card = replace(classifier.card, name="rings", output=OutputSpec(heads=heads))
    other = CutoutClassifier(card, classifier.module, device="cpu")
    with pytest.raises(ValueError, match=r"small.v1 has votes \(fractions: .*rings.v1 has kind"):
        ClassifierEnsemble([classifier, other])
    with pytest.raises(ValueError, match="members must be one or more classifiers, got none"):
        classify_cutouts({"cutout": []}, model=[])
    with pytest.raises(TypeError, match="members must be of CutoutClassifier, got str"):
        ClassifierEnsemble(["galaxyzoo2"])


def test_saved_with_its_calibration(calibrated):
    assert ModelCard.from_json(calibrated.card.to_json()) == calibrated.card
    record = calibrated.card.to_dict()
    for head in record["output"]["heads"]:
        del head["calibration"], head["units"]
    assert ModelCard.from_dict(record).output.heads[0].calibration is None


def test_memory_of_an_ensemble_does_not_grow_with_the_rows(others):
    stamp = np.random.default_rng(0).normal(0, 0.1, (3, 32, 32)).astype(np.float32)

    def peak(n):
        table = QTable({"row": np.arange(n)})
        table.add_column(np.broadcast_to(stamp, (n, *stamp.shape)), name="cutout", copy=False)
        stream = ClassifierEnsemble(others[1:]).stream(
            table, batch_size=50, stretch=Picture(white=1.0)
        )
        tracemalloc.start()
        assert sum(len(part) for part in stream) == n
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    # After so many rows as many batches have been under way at once as ever are.
    assert peak(3000) < 1.2 * peak(1000)
