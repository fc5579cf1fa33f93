"""`import astrodlkit` is light, silent and off-line, in a fresh process."""

import subprocess
import sys

import pytest

import astrodlkit


def run(code: str) -> str:
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import astrodlkit",
        "import astrodlkit.cutouts, astrodlkit.specs",
        "import astrodlkit; [astrodlkit.describe_model(n) for n in astrodlkit.list_models()]",
        "import astrodlkit.cli",
    ],
)
def test_no_torch(code):
    loaded = run(f"{code}\nimport sys; print(*sys.modules)").split()
    assert not {"torch", "torchvision", "timm", "lightning"} & set(loaded)


def test_half_a_second():
    code = "from time import perf_counter as t; s = t(); import astrodlkit; print(t() - s)"
    assert min(float(run(code)) for _ in range(3)) < 0.5


def test_no_network():
    run(
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "import astrodlkit, astrodlkit.cli\n"
        "for name in astrodlkit.__all__: getattr(astrodlkit, name)"
    )


def test_every_public_name_is_there():
    assert set(astrodlkit.__all__) <= set(dir(astrodlkit))
    for name in astrodlkit.__all__:
        assert getattr(astrodlkit, name) is not None
    with pytest.raises(AttributeError, match="'astrodlkit' has no attribute 'nothing'"):
        _ = astrodlkit.nothing
