"""Files that are made beside their place: what a kill leaves there, and who takes it away."""

import shutil

import pytest

from astrodlkit.engine import _unfinished
from astrodlkit.engine._unfinished import clear_leftovers, unfinished


class KilledError(BaseException):
    """In the place of a signal."""


@pytest.fixture(params=["rows.fits", "rows.zarr"])
def path(request, tmp_path):
    """A file, or a folder."""
    return tmp_path / request.param


def write(path, *, done=3, kill=False):
    with unfinished(path, {"seed": 1}) as partial:
        if path.suffix == ".zarr":
            partial.path.mkdir(exist_ok=True)
            (partial.path / "chunk").write_text("rows")
        else:
            partial.path.write_text("rows")
        partial.reach(done)
        if kill:
            raise KilledError


def kill_at_the_end(path, monkeypatch, when):
    """End when the file is in its place, and of the rest only so much is removed."""
    if when == "again":
        write(path)
    removed = []

    def stop(folder, *args, **kwargs):
        removed.append(folder)
        if when != "again" or len(removed) == 2:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(_unfinished.shutil, "rmtree", stop)
        with pytest.raises(KilledError):
            write(path)


@pytest.mark.parametrize("when", ["first", "again"])
def test_what_a_kill_at_the_very_end_leaves(path, monkeypatch, when):
    kill_at_the_end(path, monkeypatch, when if path.suffix == ".zarr" else "first")
    folder = path.with_name(f"{path.name}.partial")
    assert path.exists()
    assert folder.is_dir()
    clear_leftovers(path)
    assert path.exists()
    assert not folder.exists()
    clear_leftovers(path)


def test_what_is_not_finished_stays(path):
    with pytest.raises(KilledError):
        write(path, kill=True)
    folder = path.with_name(f"{path.name}.partial")
    before = sorted(folder.rglob("*"))
    clear_leftovers(path)
    assert sorted(folder.rglob("*")) == before
    # A run that has only begun.
    shutil.rmtree(folder)
    with unfinished(path, {"seed": 2}) as partial:
        clear_leftovers(path)
        assert folder.is_dir()
        assert not partial.done
        if path.suffix == ".zarr":
            partial.path.mkdir()
        else:
            partial.path.touch()


def test_a_folder_of_the_user_stays(path):
    folder = path.with_name(f"{path.name}.partial")
    folder.mkdir()
    (folder / "notes.txt").write_text("precious")
    clear_leftovers(path)
    assert (folder / "notes.txt").exists()
