import pytest
import torch

from astrodlkit.engine import BFLOAT16_TOLERANCE, _device, resolve_device, resolve_precision

CPU = torch.device("cpu")


def test_auto_is_a_device_of_this_machine():
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == wanted
    assert resolve_device(CPU) == CPU


def test_the_meta_device_is_a_device_like_any_other():
    assert resolve_device(torch.device("meta")).type == "meta"


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x", ""])
def test_a_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used here"):
        resolve_device(device)


@pytest.mark.parametrize("device", [None, 0, 1.5, ["cpu"]])
def test_a_device_of_the_wrong_type(device):
    with pytest.raises(TypeError, match="device must be a name such as 'auto' or 'cpu', got"):
        resolve_device(device)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_not_measured(precision):
    assert resolve_precision(precision, CPU, difference=pytest.fail) == precision


@pytest.mark.parametrize("precision", ["float16", "fp32", None, 32])
def test_a_precision_that_is_none(precision):
    with pytest.raises(ValueError, match="precision must be one of"):
        resolve_precision(precision, CPU, difference=lambda: 0)


@pytest.mark.parametrize(
    ("capable", "difference", "expected"),
    [
        (True, 0.0, "bfloat16"),
        (True, 0.99 * BFLOAT16_TOLERANCE, "bfloat16"),
        (True, BFLOAT16_TOLERANCE, "float32"),
        (True, float("nan"), "float32"),
        (False, 0.0, "float32"),
    ],
)
def test_auto_precision(monkeypatch, capable, difference, expected):
    monkeypatch.setattr(_device, "_has_bfloat16", lambda device: capable)
    assert resolve_precision("auto", CPU, difference=lambda: difference) == expected


def test_bfloat16_of_processors(monkeypatch):
    for capabilities, expected in [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx2": True}, False),
        ({}, False),
    ]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda c=capabilities: c, raising=False)
        assert _device._has_bfloat16(CPU) is expected
    for capability, expected in [((8, 0), True), ((7, 5), False)]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, c=capability: c)
        assert _device._has_bfloat16(torch.device("cuda")) is expected
    assert not _device._has_bfloat16(torch.device("mps"))
