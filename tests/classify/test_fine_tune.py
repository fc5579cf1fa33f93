"""fine_tune: labels of every kind, both modes, and what it refuses."""

import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.table import MaskedColumn, QTable
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import CutoutClassifier, load_model
from astrodlkit.exceptions import AstrodlkitWarning
from astrodlkit.networks import build
from astrodlkit.pretrained import Licence
from astrodlkit.specs import Head, OutputSpec

from .conftest import make_card

OPTIONS = {
    "backbone": "test_efficientnet",
    "heads": [{"name": "kind", "kind": "classes", "n": 2}],
}
BANDS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def base():
    """A classifier with a small backbone of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = build("heads", **OPTIONS)
    head = Head(name="kind", kind="classes", labels=("star", "galaxy"), column="kind")
    card = make_card(
        architecture="heads",
        options=OPTIONS,
        output=OutputSpec(heads=(head,)),
        licence=Licence(weights="BSD", data="SDSS"),
        citations=("Someone 2020",),
    )
    return CutoutClassifier(card, module, device="cpu")


@pytest.fixture
def table():
    """Forty discs with labels of every kind; brightness tells them."""
    return make_table()


def make_table():
    rng = np.random.default_rng(1)
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    bright = np.linspace(20, 220, 40)
    pictures = bright[:, None, None, None] * np.exp(-(x**2 + y**2) * 3) * np.ones((3, 1, 1))
    pictures += rng.uniform(0, 10, pictures.shape)
    made = QTable({"cutout": pictures.astype(np.float32)})
    made["kind"] = np.where(bright > 120, "bright", "dim")
    made["level"] = bright
    made["yes"] = np.rint(bright / 10)
    made["no"] = 22 - made["yes"]
    return made


def tune(base, table, labels, **options):
    return base.fine_tune(
        table, labels, bands=BANDS, precision="float32", **{"progress": False, **options}
    )


def test_classes_from_a_column(base, table):
    tuned = tune(base, table, "kind", name="brightness")
    result = tuned.predict(table, bands=BANDS)
    assert (result["predicted_kind"] == table["kind"]).mean() > 0.9
    assert_array_equal(result["kind"], table["kind"])
    card = tuned.card
    assert card.full_name == "brightness"
    assert (card.training.n_train, card.training.n_validation) == (32, 8)
    figure = card.figures[0]
    assert (figure.name, figure.n, figure.split) == ("predicted_kind: accuracy", 8, "validation")
    assert figure.value > 0.8
    assert card.citations == ("Someone 2020",)
    assert "small.v1" in card.training.data
    assert "BSD" in card.licence.weights


def test_it_is_saved_and_loaded_like_any_other(base, table, tmp_path):
    tuned = tune(base, table, "kind")
    tuned.save(tmp_path)
    again = load_model(tmp_path, device="cpu")
    assert again.card.figures == tuned.card.figures
    assert_allclose(
        again.predict(table, bands=BANDS)["predicted_kind_probability"],
        tuned.predict(table, bands=BANDS)["predicted_kind_probability"],
        atol=0.01,
    )


def test_with_rows_enough_it_is_calibrated_and_knows_what_is_new(base, table, tmp_path):
    options = {**OPTIONS, "novelty": "grey"}
    novelty = Head(name="novelty", kind="fractions", labels=("novelty",))
    knowing = CutoutClassifier(
        replace(
            base.card,
            options=options,
            output=replace(base.card.output, heads=(*base.card.output.heads, novelty)),
        ),
        build("heads", **options),
        device="cpu",
    )
    knowing.module.load_state_dict(base.module.state_dict(), strict=False)
    tune(knowing, table, {"kind2": "kind", "flux": "level"}, validation=0.5).save(tmp_path)
    tuned = load_model(tmp_path, device="cpu")
    assert all(head.calibration for head in tuned.card.output.heads if head.name != "novelty")
    result = tuned.predict(table, bands=BANDS)
    assert (result["flux_error"] > 0).all()
    assert 0.2 < result["novelty"].mean() < 0.8
    table["cutout"][0] = np.random.default_rng(0).uniform(0, 255, (3, 32, 32))
    assert tuned.predict(table[:1], bands=BANDS)["novelty"][0] > 0.95


def test_the_base_is_left_alone(base, table):
    before = {name: values.clone() for name, values in base.module.state_dict().items()}
    tune(base, table, "kind")
    for name, values in base.module.state_dict().items():
        torch.testing.assert_close(values, before[name])


def test_votes_and_numbers_at_once(base, table):
    level = np.asarray(table["level"]) * u.mJy
    level[3] = np.nan
    labels = {"flux": level, "votes": ["yes", "no"], "kind2": table["kind"]}
    with pytest.warns(AstrodlkitWarning, match="'votes' have 8 validation rows, and errors take"):
        tuned = tune(base, table, labels)
    result = tuned.predict(table, bands=BANDS)
    assert_allclose(result["predicted_yes"] + result["predicted_no"], 1, rtol=1e-5)
    assert abs(result["predicted_yes"] - table["yes"] / 22).mean() < 0.1
    values = u.Quantity(result["flux"], u.mJy).value
    assert abs(values - table["level"]).mean() < 30
    assert [figure.name for figure in tuned.card.figures] == [
        "flux: RMS error",
        "votes: RMS error",
        "kind2: accuracy",
    ]


def test_two_dimensions_are_votes(base, table):
    votes = np.stack([table["yes"], table["no"]], axis=1)
    votes[4] = -1
    with pytest.warns(AstrodlkitWarning, match="no columns vote_0_error"):
        tuned = tune(base, table, {"vote": votes})
    assert "vote_0_error" not in tuned.predict(table[:1], bands=BANDS).colnames
    assert tuned.card.output.columns == ("vote_0", "vote_1")
    assert tuned.card.training.n_train + tuned.card.training.n_validation == 39


def test_votes_with_validation_rows_enough_have_errors(base, table):
    tuned = tune(base, table, {"votes": ["yes", "no"]}, validation=0.5)
    assert (tuned.predict(table, bands=BANDS)["predicted_yes_error"] > 0).all()


def test_fractions_of_a_part_are_those_of_the_whole(base, table):
    fractions = np.stack([table["yes"], table["no"]], axis=1) / 22
    whole, half = (
        tune(base, table, part * fractions, validation=0.5).predict(table, bands=BANDS)
        for part in (1, 0.5)
    )
    for name in ("fraction_0", "fraction_0_error"):
        assert_allclose(half[name], whole[name], rtol=0.01)


def test_progress_of_the_frozen_mode(base, table, capfd):
    calls = []
    tune(base, table, "kind", progress=lambda *call: calls.append(call), views=1)
    assert calls == [(40, 40), (32, 40), (40, 40)]
    assert capfd.readouterr().err == ""
    tune(base, table, "kind", progress=True, views=1)
    err = capfd.readouterr().err
    assert "pictures: 100%" in err
    assert "features: 100%" in err


@pytest.mark.parametrize("missing", [None, "", np.ma.masked, np.nan])
def test_missing_classes(base, table, missing):
    labels = np.array(table["kind"], dtype=object)
    if missing is np.ma.masked:
        labels = MaskedColumn(np.array(table["kind"]), mask=np.arange(40) < 10)
    else:
        labels[:10] = missing
    tuned = tune(base, table, labels)
    assert tuned.card.training.n_train + tuned.card.training.n_validation == 30
    assert tuned.card.output.heads[0].labels == ("bright", "dim")
    assert tuned.card.output.columns == ("class", "class_probability")


def test_rows_without_pixels_are_left_out_with_a_warning(base, table):
    spoilt = table.copy()
    spoilt["cutout"][7] = np.nan
    with pytest.warns(AstrodlkitWarning, match="1 of the 40 labelled rows have no pixels"):
        tuned = tune(base, spoilt, "kind")
    assert tuned.card.training.n_train + tuned.card.training.n_validation == 39


def test_the_seed_decides(base, table):
    one, same, other = (tune(base, table, "kind", seed=seed) for seed in (1, 1, 2))
    weights = [each.module.layers[0].weight for each in (one, same, other)]
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    assert not torch.allclose(weights[0], weights[2])


@pytest.mark.parametrize("options", [{}, {"mode": "full", "epochs": 2}])
def test_the_default_type_of_torch_decides_nothing(base, table, options, request):
    def weights():
        return tune(base, table, "kind", **options).module.state_dict()

    usual = weights()
    request.getfixturevalue("double_default")
    torch.testing.assert_close(weights(), usual)


def test_the_random_state_of_the_caller_stays(base, table):
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    tune(base, table, "kind")
    torch.testing.assert_close(torch.rand(1), wanted)


def test_each_class_is_in_the_validation_rows_as_often_as_it_occurs(base, table):
    rare = np.where(np.arange(40) < 10, "rare", "common")
    tuned = tune(base, table, rare, validation=0.3)
    assert tuned.card.training.n_validation == 12


def test_validation_rows_that_are_given(base, table):
    mask = np.arange(40) % 4 == 0
    tuned = tune(base, table, "kind", validation=mask)
    assert tuned.card.training.n_validation == 10


def test_handedness(base, table):
    tuned = tune(base, table, "kind", mirror=False)
    assert tuned.card.input.mirror is False
    with pytest.raises(ValueError, match="views must be 1, 2 or 4 for fine-tuned"):
        tuned.predict(table, bands=BANDS, views=8)
    with pytest.raises(ValueError, match=r"views must be one of \(1, 2, 4\) with mirror=False"):
        tune(base, table, "kind", mirror=False, views=8)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ("nothing", ValueError, "labels names no column of the table: got 'nothing'"),
        ([], ValueError, r"one entry for each of the 40 rows, got the shape \(0,\)"),
        (["a"] * 39, ValueError, r"each of the 40 rows, got the shape \(39,\)"),
        (["a"] * 40, ValueError, r"two or more classes, got \['a'\]"),
        ([""] * 40, ValueError, r"two or more classes, got \[\]"),
        ([None] * 40, ValueError, "two or more classes|must have a label"),
        (["a", *["b"] * 39], ValueError, "every class needs 2 or more rows, got {'a': 1}"),
        (np.full(40, np.nan), ValueError, "two or more rows must have a label, got 0"),
        (np.ones(40), ValueError, r"all rows have the same label, \[1.0\]"),
        (np.linspace(1, 2e43, 40), ValueError, "go up to 2e[+]43, more than a float32 holds"),
        (np.ones(40, bool), TypeError, r"got bool \(use .astype\(str\)\)"),
        (np.ones(40, complex), TypeError, "got complex128"),
        (np.ones((40, 2, 2)), ValueError, r"shape \(n,\) or \(n, k\), got \(40, 2, 2\)"),
        (np.ones((40, 1)), ValueError, "two or more answers, got 1"),
        (np.full((40, 2), -1.0), ValueError, "two or more rows must have a label, got 0"),
        (np.array(["a", 1] * 20, object), TypeError, r"got objects of \['int', 'str'\]"),
        (np.array([{}] * 40, object), TypeError, r"got objects of \['dict'\]"),
        (3, ValueError, r"each of the 40 rows, got the shape \(\)"),
        (None, ValueError, r"got the shape \(\)"),
        ({}, ValueError, "labels must not be an empty dict"),
        ({3: ["a"] * 40}, TypeError, "keys of labels must be names, got 3"),
        (["yes", "kind"], TypeError, "got <U6"),
        ({"a": "kind", "a_probability": "level"}, ValueError, "different columns"),
        ({"a": "level", "a_error": "yes"}, ValueError, r"other names than \['a_error'\]"),
        ({"flags": "level"}, ValueError, r"other names than \['flags'\]"),
        ({"novelty": ["yes", "no"]}, ValueError, r"other names than \['novelty'\]"),
    ],
)
def test_labels_that_are_none(base, table, labels, error, message):
    with pytest.raises(error, match=message):
        tune(base, table, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "half"}, r"mode must be one of \('frozen', 'full'\), got 'half'"),
        ({"folder": "here"}, "folder, devices and strategy must be left out with mode='frozen'"),
        ({"devices": 2}, "must be left out"),
        ({"views": 3}, r"views must be one of \(1, 2, 4, 8\) with mirror=True, got 3"),
        ({"validation": 0.0}, "above 0 and up to 0.5"),
        ({"validation": 0.9}, "above 0 and up to 0.5"),
        ({"validation": None}, "above 0 and up to 0.5"),
        ({"validation": np.ones(3, bool)}, "True or False for each of the 40 rows"),
        ({"validation": np.ones(40, bool)}, "two or more training rows must have a label, got 0"),
        ({"validation": np.zeros(40, bool)}, "no validation row has a label"),
        ({"epochs": 0}, "epochs must be a positive integer, got 0"),
        ({"seed": -1}, "seed must be a whole number, 0 or more, got -1"),
        ({"seed": None}, "seed must be a whole number, 0 or more, got None"),
        ({"patience": True}, "patience must be a positive integer, got True"),
        ({"batch_size": -1}, "batch_size must be a positive integer"),
        ({"name": "my model"}, "name must be letters, digits, '-' and '_'"),
    ],
)
def test_options_that_are_none(base, table, options, message):
    with pytest.raises(ValueError, match=message):
        tune(base, table, "kind", **options)


def test_no_rows(base, table):
    with pytest.raises(ValueError, match="table has no rows to learn from"):
        tune(base, table[:0], "kind")


def test_pixels_that_are_all_bad(base, table):
    spoilt = table.copy()
    spoilt["cutout"][:] = np.nan
    with (
        pytest.warns(AstrodlkitWarning, match="40 of the 40"),
        pytest.raises(ValueError, match="two or more rows with pixels must have a label, got 0"),
    ):
        tune(base, spoilt, "kind")


def test_more_than_the_memory_is_for(base, table, monkeypatch):
    monkeypatch.setattr("astrodlkit.classify._labelled._MOST_BYTES", 100_000)
    with pytest.raises(ValueError, match="fine-tune on fewer rows"):
        tune(base, table, "kind")


def test_a_network_without_a_backbone(classifier, table):
    with pytest.raises(ValueError, match=r"small\.v1 cannot be fine-tuned"):
        tune(classifier, table, "kind")


def test_what_was_trained_without_mirrors_stays_so(base, table):
    one_handed = CutoutClassifier(
        replace(base.card, input=replace(base.card.input, mirror=False)), base.module, device="cpu"
    )
    assert tune(one_handed, table, "kind").card.input.mirror is False


SHORT = {"mode": "full", "epochs": 2, "batch_size": 8}


@pytest.fixture(scope="module")
def once(base, tmp_path_factory):
    """A folder with the checkpoints of a training, and its result."""
    pytest.importorskip("lightning.pytorch")
    folder = tmp_path_factory.mktemp("once")
    return folder, tune(base, make_table(), "kind", folder=folder, **SHORT)


class TestFull:
    """The mode in which Lightning trains everything."""

    @pytest.fixture(autouse=True)
    def _lightning(self):
        pytest.importorskip("lightning.pytorch")

    def test_it_learns(self, base, table, tmp_path):
        tuned = tune(
            base,
            table,
            {"kind2": "kind", "votes": ["yes", "no"]},
            validation=0.5,
            mode="full",
            folder=tmp_path,
            epochs=12,
            batch_size=8,
            patience=3,
        )
        result = tuned.predict(table, bands=BANDS)
        assert (result["kind2"] == table["kind"]).mean() > 0.8
        before, after = (each.module.backbone.state_dict() for each in (base, tuned))
        assert any(not torch.equal(before[name], after[name]) for name in before)
        assert (tmp_path / "last.ckpt").exists()
        assert (tmp_path / "best.ckpt").exists()

    def test_it_ends_when_validation_rows_get_worse(self, base, table, tmp_path):
        # What is learned from the others is wrong for them.
        held = np.arange(40) % 2 == 0
        kind = np.where(held ^ (table["kind"] == "dim"), "dim", "bright")
        options = {"mode": "full", "epochs": 30, "batch_size": 4, "patience": 2, "rate": 0.02}
        calls = []
        tune(base, table, kind, validation=held, folder=tmp_path, **options,
             progress=lambda *call: calls.append(call))  # fmt: skip
        passes = [call for call in calls if call[1] == 30]
        assert passes == [(i + 1, 30) for i in range(len(passes))]
        assert 3 <= len(passes) < 15
        losses = QTable.read(tmp_path / "log/version_0/metrics.csv", format="ascii.csv")
        losses = np.ma.compressed(losses["validation_loss"])
        assert len(losses) == len(passes)
        # Two passes after the best one.
        assert losses.argmin() == len(losses) - 3

    def test_the_bar_says_how_many_passes_there_are(self, base, table, capfd):
        tune(base, table, "kind", progress=True, **SHORT)
        text = "".join(capfd.readouterr())
        assert "Epoch 1" in text
        assert "/-2" not in text

    def test_a_callable_is_told_passes(self, base, table):
        calls = []
        tune(base, table, "kind", progress=lambda *call: calls.append(call), **SHORT)
        assert calls[-2:] == [(1, 2), (2, 2)]

    def test_an_interrupted_training_goes_on(self, base, table, tmp_path, monkeypatch):
        options = {"mode": "full", "epochs": 4, "batch_size": 8, "patience": 9}
        whole = tune(base, table, "kind", **options)
        from astrodlkit.training import LabelsTask

        step = LabelsTask.training_step

        def interrupted(self, batch, i):
            if self.global_step == 10:
                raise KeyboardInterrupt
            return step(self, batch, i)

        monkeypatch.setattr(LabelsTask, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(base, table, "kind", folder=tmp_path, **options)
        monkeypatch.setattr(LabelsTask, "training_step", step)
        parts = tune(base, table, "kind", folder=tmp_path, **options)
        for name, values in whole.module.state_dict().items():
            torch.testing.assert_close(parts.module.state_dict()[name], values, msg=name)

    @pytest.fixture
    def begun(self, once, tmp_path):
        """A copy of the folder."""
        return shutil.copytree(once[0], tmp_path / "begun")

    def test_the_same_call_goes_on(self, base, table, once, begun, monkeypatch):
        from astrodlkit.training import LabelsTask

        def never(*_):
            raise AssertionError("there is nothing left to do")

        first = once[1]
        monkeypatch.setattr(LabelsTask, "training_step", never)
        again = tune(base, table, "kind", folder=begun, **SHORT)
        for name, values in first.module.state_dict().items():
            torch.testing.assert_close(again.module.state_dict()[name], values, msg=name)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"epochs": 3}, "differs in epochs: 2 there, 3 now"),
            ({"rate": 0.01}, "differs in rate: 0.001 there, 0.01 now"),
            ({"batch_size": 4, "patience": 7}, "batch_size: 8 there, 4 now; patience: 6 there, 7"),
            ({"seed": 1}, "in validation rows; seed: 0 there, 1 now"),
            ({"mirror": False}, "mirror: True there, False now"),
            ({"validation": np.arange(40) % 5 == 0}, "differs in validation rows"),
        ],
    )
    def test_another_call_is_refused(self, base, table, begun, options, message):
        with pytest.raises(ValueError, match=message):
            tune(base, table, "kind", folder=begun, **{**SHORT, **options})

    def test_other_labels_are_refused(self, base, table, begun):
        moved = np.roll(table["kind"], 1)
        with pytest.raises(ValueError, match="of another training, which differs in labels"):
            tune(base, table, {"predicted_kind": moved}, folder=begun, **SHORT)
        renamed = np.where(table["kind"] == "dim", "faint", "light")
        with pytest.raises(ValueError, match="differs in labels; heads"):
            tune(base, table, {"predicted_kind": renamed}, folder=begun, **SHORT)

    def test_other_pixels_are_refused(self, base, table, begun):
        table["cutout"][5] += 3
        with pytest.raises(ValueError, match=r"differs in pictures\. Go on .* another folder"):
            tune(base, table, "kind", folder=begun, **SHORT)

    def test_another_base_is_refused(self, base, table, begun):
        other = CutoutClassifier(base.card, build("heads", **OPTIONS), device="cpu")
        with pytest.raises(ValueError, match="differs in model"):
            tune(other, table, "kind", folder=begun, **SHORT)

    def test_a_checkpoint_of_nobody_knows_what_is_refused(self, base, table, begun):
        (begun / "made_from.json").unlink()
        with pytest.raises(ValueError, match=r"no made_from\.json that says what it is of"):
            tune(base, table, "kind", folder=begun, **SHORT)

    def test_without_a_checkpoint_another_call_begins_anew(self, base, table, begun):
        (begun / "last.ckpt").unlink()
        tune(base, table, "kind", folder=begun, **{**SHORT, "epochs": 1})
        assert '"epochs": 1' in (begun / "made_from.json").read_text()

    @pytest.mark.slow
    def test_two_processes(self, base, table, tmp_path):
        base.save(tmp_path / "base")
        columns = {name: np.asarray(table[name]) for name in ("cutout", "kind")}
        np.savez(tmp_path / "table.npz", **columns)
        script = tmp_path / "script.py"
        script.write_text(
            textwrap.dedent("""
            import sys
            from pathlib import Path
            import numpy as np
            from astropy.table import QTable
            from astrodlkit import load_model
            from astrodlkit.training import LabelsTask

            here = Path(__file__).parent
            step = LabelsTask.training_step

            def noted(self, batch, i):
                with open(here / f"process{self.global_rank}", "a") as file:
                    file.write(f"{len(batch[0])}\\n")
                return step(self, batch, i)

            LabelsTask.training_step = noted

            if __name__ == "__main__":
                with np.load(here / "table.npz") as file:
                    table = QTable({name: file[name] for name in file})
                tuned = load_model(here / "base", device="cpu").fine_tune(
                    table, "kind", bands=("red", "green", "blue"), mode="full", epochs=2,
                    batch_size=8, rate=0.05, devices=2, strategy="ddp_spawn", progress=False,
                )
                tuned.save(here / "tuned")
            """)
        )
        subprocess.run([sys.executable, script], check=True, timeout=300, cwd=tmp_path)
        # 32 rows to learn from: two steps of 8 rows in each process and pass.
        for rank in (0, 1):
            assert (tmp_path / f"process{rank}").read_text().split() == ["8"] * 4
        tuned = load_model(tmp_path / "tuned", device="cpu")
        before, after = (each.module.backbone.state_dict() for each in (base, tuned))
        assert any(
            not torch.allclose(before[name].float(), after[name].float(), atol=1e-3)
            for name in before
        )
