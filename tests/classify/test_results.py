"""What comes back: the user's table, the columns beside it, and where they come from."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table, vstack
from astropy.time import Time
from numpy.testing import assert_array_equal

from astrodlkit import Cutouts, __version__, classify_cutouts

SURFACE = u.nmgy / u.arcsec**2


@pytest.fixture
def table(pictures):
    n = len(pictures)
    table = Table({"name": [f"galaxy {i}" for i in range(n)], "cutout": pictures * SURFACE})
    table["flux"] = np.arange(n, dtype=">f4") * u.Jy
    table["flux"].format, table["flux"].description = ".2f", "of the galaxy"
    table["count"] = MaskedColumn(np.arange(n), mask=np.arange(n) == 3)
    table["masked flux"] = MaskedColumn(np.arange(n) * 1.0, unit="Jy", mask=np.arange(n) == 2)
    table["coord"] = SkyCoord(np.arange(n), 5, unit="deg")
    table["time"] = Time(2450000.0 + np.arange(n), format="jd")
    table.meta["origin"] = "the test"
    return table


def test_all_the_users_columns_come_first_and_unchanged(classifier, table, columns):
    result = classifier.predict(table)
    assert type(result) is QTable
    assert result.colnames == [*table.colnames, *columns]
    assert_array_equal(result["name"], table["name"])
    assert_array_equal(result["flux"], np.arange(len(table)) * u.Jy)
    assert result["flux"].info.format == ".2f"
    assert result["flux"].info.description == "of the galaxy"
    assert_array_equal(result["count"].mask, table["count"].mask)
    assert_array_equal(result["masked flux"].mask, table["masked flux"].mask)
    assert (result["coord"].separation(table["coord"]) == 0).all()
    assert_array_equal(result["time"].jd, table["time"].jd)
    assert result.meta["origin"] == "the test"


def test_the_users_table_is_left_alone_and_shares_nothing(classifier, table):
    before = table.copy()
    result = classifier.predict(table)
    result["flux"][:] = -1 * u.Jy
    result.meta["origin"] = "elsewhere"
    result.sort("class_probability")
    assert table.colnames == before.colnames
    assert_array_equal(table["flux"], before["flux"])
    assert_array_equal(table["name"], before["name"])
    assert table.meta == before.meta


def test_indices_are_kept(classifier, pictures):
    table = QTable({"id": np.arange(12)[::-1], "cutout": pictures * SURFACE})
    table.add_index("id")
    assert classifier.predict(table).loc[3]["id"] == 3


def test_the_columns_are_the_networks_numbers(classifier, table, columns):
    result = classifier.predict(table, precision="float32")
    votes = np.array([result[name] for name in columns[:37]]).T
    assert votes.dtype == np.float32
    tree = classifier.module.tree
    start = 0
    for size, parent in zip(tree.sizes, tree.parents, strict=True):
        whole = 1 if parent is None else votes[:, parent]
        np.testing.assert_allclose(votes[:, start : start + size].sum(axis=1), whole, atol=1e-5)
        start += size
    assert result["class"].dtype.kind == "U"
    assert result["class_probability"].dtype == np.float32
    assert len(set(result["class"])) > 1
    assert result["flags"].dtype == np.int32
    assert not result["flags"].any()
    assert all(result[name].info.description for name in ("class", "class_probability", "flags"))


def test_provenance(classifier, table):
    result = classifier.predict(table, views=4, precision="float32")
    about = result.meta["astrodlkit"]
    assert about.pop("date")[:2] == "20"
    assert about == {
        "model": "small.v1",
        "sha256": "",
        "version": __version__,
        "bands": "None",
        "stretch": "auto",
        "size": "whole cutouts",
        "views": 4,
        "precision": "float32",
    }


def test_the_precision_is_that_of_this_processor(classifier, table):
    result = classifier.predict(table, precision="bfloat16")
    assert result.meta["astrodlkit"]["precision"] == "bfloat16"


def test_the_result_can_be_written_and_stacked(classifier, table, tmp_path):
    result = classifier.predict(table)
    result.remove_column("cutout")
    result.write(tmp_path / "result.ecsv")
    back = QTable.read(tmp_path / "result.ecsv")
    assert back.meta["astrodlkit"] == result.meta["astrodlkit"]
    assert_array_equal(back["class"], result["class"])
    both = vstack([result, result])
    assert both.meta["astrodlkit"] == result.meta["astrodlkit"]


def test_no_rows_give_all_columns_with_their_types(classifier, table, columns):
    full, empty = classifier.predict(table), classifier.predict(table[:0])
    assert len(empty) == 0
    assert empty.colnames == full.colnames
    assert {n: empty[n].dtype for n in columns} == {n: full[n].dtype for n in columns}
    assert len(vstack([empty, full])) == len(full)


@pytest.mark.parametrize("column", [[], np.zeros((0, 3, 8, 8)), np.zeros(0, dtype=object)])
def test_no_rows_of_any_kind(classifier, columns, column):
    result = classifier.predict({"cutout": column})
    assert result.colnames == ["cutout", *columns]
    assert len(result) == 0


def test_no_rows_beside_an_image(classifier, columns):
    result = classifier.predict({"x": [], "y": []}, np.zeros((9, 9)), size=5)
    assert result.colnames == ["x", "y", *columns]


def test_a_column_of_the_users_is_not_overwritten(classifier, table):
    table["class"] = 1
    with pytest.raises(
        ValueError, match=r"columns with the names of the result's: \['class'\]; rename them"
    ):
        classifier.predict(table)
    table.rename_column("class", "flags")
    with pytest.raises(ValueError, match=r"\['flags'\].*rename_column\('flags', 'my_flags'\)"):
        classifier.predict(table)


def test_photutils_flags_stay_beside_ours(classifier, table):
    table["flags"] = np.arange(len(table))
    table.meta["version"] = {"photutils": "3.1.1"}
    result = classifier.predict(table)
    assert_array_equal(result["photutils_flags"], table["flags"])
    assert not result["flags"].any()
    # The second run replaces what the first one gave, and nothing else.
    assert classifier.predict(result).colnames == result.colnames


def test_an_earlier_result_is_replaced(classifier, table):
    plain = classifier.predict(table)
    first = classifier.predict(table, views=2)
    assert set(first.colnames) > set(plain.colnames)
    second = classifier.predict(first)
    assert second.colnames == plain.colnames
    assert second.meta["astrodlkit"]["views"] == 1


def test_cutouts_give_their_positions_and_meta(classifier, pictures, columns):
    coords = SkyCoord(np.arange(12), 5, unit="deg")
    cutouts = Cutouts(
        pictures, unit=SURFACE, bands=("i", "r", "g"), positions=coords, meta={"field": 7}
    )
    result = classifier.predict(cutouts)
    assert result.colnames == ["position", *columns]
    assert result.meta["field"] == 7
    assert (result["position"].separation(coords) == 0).all()
    without = classifier.predict(Cutouts(pictures, unit=SURFACE, bands=("i", "r", "g")))
    assert without.colnames == list(columns)
    assert_array_equal(without["class"], result["class"])
    parts = list(
        classifier.stream(Cutouts(pictures, unit=SURFACE, bands=("i", "r", "g")), batch_size=5)
    )
    assert [len(part) for part in parts] == [5, 5, 2]


def test_the_table_of_cutouts_goes_in_as_it_is(classifier, pictures):
    mask = np.zeros(pictures.shape, dtype=bool)
    mask[2] = True
    mask[3, :, :4] = True
    cutouts = Cutouts(pictures, unit=SURFACE, mask=mask, bands=("i", "r", "g"))
    result = classifier.predict(cutouts.to_table())
    assert_array_equal(result["flags"][:4], [0, 0, 4 + 8 + 512, 4])
    direct = classifier.predict(cutouts)
    assert_array_equal(result["class"], direct["class"])
    assert_array_equal(result["flags"], direct["flags"])


def test_the_verb_is_the_object(classifier, table):
    result = classify_cutouts(table, model=classifier)
    direct = classifier.predict(table)
    assert_array_equal(result["class_probability"], direct["class_probability"])
