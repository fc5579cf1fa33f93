"""What tests of several rooms share: killed runs, full disks, and a simulator."""

import errno
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from astrodlkit.networks import build
from astrodlkit.pretrained import ModelCard, save_model
from astrodlkit.specs import TemplateSpec

DOMAIN = {"axis_ratio": (0.1, 1), "sersic_index": (0.5, 5), "g_r": (0, 1.2), "r_i": (-0.1, 0.6)}

# Kills runs after some steps, and some moments more. What runs is put before it: write(path).
KILLS = """
import os, random, signal, time

def run(path, kill_after=None):
    child = os.fork()
    if child == 0:
        try:
            write(path)
        except BaseException as exc:
            print(repr(exc), flush=True)
            os._exit(1)
        os._exit(0)
    if kill_after is not None:
        done = Path(f"{path}.partial", "done")
        while not path.exists():
            if kill_after == 0 or (done.exists() and int(done.read_text()) >= kill_after):
                break
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status == 0 or (kill_after is not None and status == signal.SIGKILL), status
    if status:
        print("killed", flush=True)

random.seed(1)
folder, name, *moments = sys.argv[1:]
for part in ("killed", "whole"):
    Path(folder, part).mkdir()
for moment in moments:
    run(Path(folder, "killed", name), int(moment))
run(Path(folder, "killed", name))
run(Path(folder, "whole", name))
"""


@pytest.fixture
def kill_and_go_on(tmp_path, contents):
    """
    Kill a run when it has so many rows, again and again, and see that its file comes out.

    Of ``code``, which defines ``write(path)``, and the name of the file; gives its path.
    """

    def check(code, name, moments):
        script = "import sys\nfrom pathlib import Path\n" + code + KILLS
        command = [sys.executable, "-W", "error", "-c", script, tmp_path, name, *map(str, moments)]
        killed = subprocess.run(command, check=True, capture_output=True, text=True)
        assert killed.stdout.split() == ["killed"] * len(moments)
        path = tmp_path / "killed" / name
        assert contents(path) == contents(tmp_path / "whole" / name)
        assert [each.name for each in path.parent.iterdir()] == [name]
        return path

    return check


@pytest.fixture(scope="session")
def contents():
    """Bytes of a file, or of all in a folder."""

    def read(path):
        if path.is_file():
            return {"": path.read_bytes()}
        files = (each for each in path.rglob("*") if each.is_file())
        return {str(each.relative_to(path)): each.read_bytes() for each in files}

    return read


class SmallDisk:
    """Has room for so many bytes, of whatever is written through `pathlib.Path`."""

    def __init__(self, room):
        self.room = room

    def write(self, stream, data):
        data = data if isinstance(data, str) else memoryview(data).tobytes()
        there = stream.write(data[: self.room])
        self.room -= there
        if there < len(data):
            stream.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return there


class Stream:
    """A file on it."""

    def __init__(self, disk, stream):
        self._disk, self._stream = disk, stream

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, data):
        return self._disk.write(self._stream, data)


@pytest.fixture
def double_default():
    """Torch as a user may have set it for what else they do."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def small_disk():
    """Make the disk one that has room for so many bytes more."""
    plain = Path.open

    @contextmanager
    def use(room):
        disk = SmallDisk(room)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "open", lambda *args, **mode: Stream(disk, plain(*args, **mode)))
            yield

    return use


@pytest.fixture
def full_disk(tmp_path, small_disk, contents):
    """
    Run out of room in the middle of writing a file, and go on when there is some.

    Of ``write(path, n, **options)``, the name of the file, and its rows.
    """

    def check(write, name, n):
        (tmp_path / "whole").mkdir()
        whole = contents(write(tmp_path / "whole" / name, n))
        path = tmp_path / name
        before = contents(write(path, 2))
        half = sum(map(len, whole.values())) // 2
        done = []
        # Twice: then there is no room from the beginning.
        for room in (half, 0):
            with small_disk(room), pytest.raises(OSError, match="No space left on device"):
                write(path, n, overwrite=True)
            assert contents(path) == before
            done.append(int((tmp_path / f"{name}.partial" / "done").read_text()))
        assert 0 < done[0] < n
        assert done[0] == done[1]
        steps = []
        write(path, n, overwrite=True, progress=lambda *step: steps.append(step))
        assert steps[0] == (done[0], n)
        assert contents(path) == whole
        assert sorted(each.name for each in tmp_path.iterdir()) == sorted([name, "whole"])

    return check


@pytest.fixture(scope="session")
def simulator(tmp_path_factory):
    """Folder of a network that was never trained; no two of its templates are the same."""
    card = ModelCard(
        name="profiles",
        title="Sersic profiles",
        task="simulate",
        architecture="galaxy-templates",
        options={
            "condition_names": list(DOMAIN), "widths": [8, 8, 8, 8], "n_global": 4, "n_local": 1,
            "n_table": 16,
        },
        templates=TemplateSpec(
            side=80, half_light=9, bands=("g", "r", "i"), reference="r", psf_fwhm=0.3,
            psf_fwhm_95=0.5, domain=DOMAIN,
        ),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        network = build(card.architecture, **card.options)
        for parameter in network.decoder.leave.parameters():
            parameter.normal_(std=0.2)
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, card, network)
    return folder
