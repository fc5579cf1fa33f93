"""An index of images at a URL, which workers read themselves."""

from pathlib import Path

import pytest
from astropy.table import Table
from numpy.testing import assert_array_equal

from astrodlkit.cutouts import TileIndex
from astrodlkit.scale import classify_cutouts
from astrodlkit.scale._images import find_images, open_images

pytest.importorskip("distributed")
dd = pytest.importorskip("dask.dataframe")
fsspec = pytest.importorskip("fsspec")


def test_an_index_at_a_url(frame, tiles, model, tmp_path):
    """Its relative paths begin at its folder, as those of an index in a file."""
    index = Table.read(tiles)
    index["path"] = [str(Path(path).relative_to(tiles.parent)) for path in index["path"]]
    (tmp_path / "survey").mkdir()
    index.write(tmp_path / "survey" / "tiles.parquet")
    for path in tiles.parent.glob("*.fits"):
        (tmp_path / "survey" / path.name).symlink_to(path)
    lazy, options = dd.from_pandas(frame, npartitions=2), {"model": model, "bands": "r"}
    options["units"] = {"half_light_radius": "arcsec"}
    url = f"file://{tmp_path}/survey/tiles.parquet"
    assert find_images(url).source == url
    found = classify_cutouts(lazy, url, **options).compute()
    wanted = classify_cutouts(lazy, tiles, **options).compute()
    assert_array_equal(found["class"], wanted["class"])
    assert_array_equal(found["flags"], wanted["flags"])
    assert (found["class"] != "").any()


def test_paths_of_an_index_at_a_url(tmp_path):
    outline = "POLYGON ICRS 10 0 11 0 11 1 10 1"
    places = ["a/b.fits", "/survey/c.fits", "https://example.org/d.fits"]
    local = tmp_path / "tiles.parquet"
    Table({"path": places, "s_region": [outline] * 3}).write(local)
    with fsspec.open("memory://survey/tiles.parquet", "wb") as stream:
        stream.write(local.read_bytes())
    index = open_images(find_images("memory://survey/tiles.parquet"))
    assert isinstance(index, TileIndex)
    assert index.table["path"].tolist() == ["memory://survey/a/b.fits", *places[1:]]
    # Another one by the same name is noticed.
    images = find_images("memory://survey/tiles.parquet")
    assert images == find_images("memory://survey/tiles.parquet")
    Table({"path": places[:1], "s_region": [outline]}).write(local, overwrite=True)
    with fsspec.open("memory://survey/tiles.parquet", "wb") as stream:
        stream.write(local.read_bytes())
    assert images != find_images("memory://survey/tiles.parquet")
    with pytest.raises(FileNotFoundError):
        find_images("memory://survey/none.parquet")


@pytest.mark.parametrize(
    "data", ["s3://survey/a.fits", ["s3://survey/a.fits"], {"g": "s3://survey/a.fits"}]
)
def test_images_at_urls_need_an_index(data):
    with pytest.raises(ValueError, match=r"s3://survey/a.fits: .*\.index_images\(\["):
        find_images(data)
