import io
import pickle
import struct
import zipfile
from dataclasses import replace
from hashlib import sha256

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from safetensors.torch import save

from astrodlkit.exceptions import WeightsError
from astrodlkit.pretrained import read_weights, write_weights
from astrodlkit.pretrained._weights import load_module, pack

TENSORS = {
    "matrix": torch.tensor([[1.0, -2.5], [0.125, 3e-5]]),
    "vector": torch.tensor([1.0, 1e-7]),
    "steps": torch.tensor(3),
    "used": torch.tensor([True, False]),
}
DATA = pack(TENSORS, "float16")


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("weights") / "model.safetensors"


def checksum(data):
    return sha256(data).hexdigest()


def read(path, data):
    """Read bytes whose checksum is right, as that of a hostile file would be."""
    path.write_bytes(data)
    return read_weights(path, checksum(data))


@pytest.mark.parametrize(("dtype", "rtol"), [("float16", 5e-4), ("bfloat16", 4e-3), ("float32", 0)])
def test_round_trip(tmp_path, dtype, rtol):
    path = tmp_path / "new" / "model.safetensors"
    found = write_weights(path, TENSORS, dtype=dtype, metadata={"name": "model"})
    assert found == checksum(path.read_bytes())
    tensors = read_weights(str(path), found)
    assert tensors.keys() == TENSORS.keys()
    torch.testing.assert_close(tensors["matrix"], TENSORS["matrix"], rtol=rtol, atol=6e-8)
    # What is small and delicate is stored in full.
    assert_array_equal(tensors["vector"], TENSORS["vector"])
    assert tensors["matrix"].dtype == tensors["vector"].dtype == torch.float32
    assert tensors["steps"].dtype == torch.int64
    assert tensors["used"].tolist() == [True, False]
    assert [item.name for item in path.parent.iterdir()] == ["model.safetensors"]


def test_half_the_size():
    tensors = {"matrix": torch.ones(100, 100)}
    assert len(pack(tensors, "float32")) - len(pack(tensors, "float16")) == 20_000


def test_all_memory_layouts_can_be_written(scratch):
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {"tied": base, "to": base, "turned": base.T, "part": base[:, 1:3], "row": base[1]}
    written = read(scratch, pack(tensors, "float32"))
    for name, tensor in tensors.items():
        assert_array_equal(written[name], tensor)


def test_nothing_to_write():
    with pytest.raises(ValueError, match="tensors must hold at least one tensor"):
        pack({}, "float16")


@given(st.data())
def test_a_flipped_bit_is_refused(scratch, data):
    offset = data.draw(st.integers(0, len(DATA) - 1))
    flipped = bytearray(DATA)
    flipped[offset] ^= 1 << data.draw(st.integers(0, 7))
    scratch.write_bytes(flipped)
    with pytest.raises(WeightsError, match=r"has sha256 .* it must be .* damaged"):
        read_weights(scratch, checksum(DATA))


@given(st.integers(0, len(DATA) - 1))
def test_a_truncated_file_is_refused(scratch, length):
    scratch.write_bytes(DATA[:length])
    with pytest.raises(WeightsError, match="has sha256"):
        read_weights(scratch, checksum(DATA))
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        read(scratch, DATA[:length])


@given(st.data())
def test_a_forged_file_is_read_or_refused(scratch, data):
    forged = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 4))):
        forged[data.draw(st.integers(0, len(DATA) - 1))] = data.draw(st.integers(0, 255))
    try:
        tensors = read(scratch, bytes(forged))
    except WeightsError:
        return
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(scratch, data):
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        read(scratch, data)


def test_a_header_that_promises_too_much_is_refused(scratch):
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        read(scratch, struct.pack("<Q", 2**62) + DATA[8:])


class Trap:
    """Pickled, it would leave a file behind when read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def _pickle(trap):
    return pickle.dumps(trap)


def _zip(trap):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(trap))
    return buffer.getvalue()


def _torch_save(trap):
    buffer = io.BytesIO()
    torch.save({"trap": trap}, buffer)
    return buffer.getvalue()


def _torch_save_old(trap):
    buffer = io.BytesIO()
    torch.save({"trap": trap}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def _hdf5(trap):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["a"] = np.zeros(3)
    return buffer.getvalue()


def _git_lfs(trap):
    return b"version https://git-lfs.github.com/spec/v1\n"


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (_pickle, "it is a pickle"),
        (_zip, "it is a zip archive"),
        (_torch_save, "it is a zip archive, such as torch.save writes"),
        (_torch_save_old, "it is a pickle"),
        (_hdf5, "it is an HDF5 file"),
        (_git_lfs, "it is a Git LFS pointer without its file"),
    ],
)
def test_a_disguise_is_refused_and_never_run(tmp_path, make, what):
    trap = tmp_path / "sprung"
    path = tmp_path / "model.safetensors"
    data = make(Trap(trap))
    with pytest.raises(WeightsError, match=what):
        read(path, data)
    with pytest.raises(WeightsError, match=what):
        read_weights(path, checksum(DATA))
    assert not trap.exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_values_that_are_not_finite_are_refused(scratch, bad, dtype):
    tensor = torch.tensor([[1.0, bad]], dtype=dtype)
    with pytest.raises(WeightsError, match="not finite, in bad"):
        read(scratch, save({"good": torch.ones(2), "bad": tensor}))
    with pytest.raises(WeightsError, match="not finite, in bad"):
        pack({"bad": tensor}, "float32")


def test_values_that_do_not_fit_are_refused():
    tensors = {"large": torch.tensor([[1e5]])}
    with pytest.raises(WeightsError, match=r"as float16, the weights hold .* in large"):
        pack(tensors, "float16")
    assert pack(tensors, "bfloat16")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float8_e4m3fn])
def test_foreign_types_are_refused(scratch, dtype):
    with pytest.raises(WeightsError, match="it must be float16 or bfloat16 or float32"):
        read(scratch, save({"a": torch.ones(2, 2).to(dtype)}))


def test_missing_files(tmp_path):
    with pytest.raises(WeightsError, match=r"none.safetensors cannot be read: No such file"):
        read_weights(tmp_path / "none.safetensors", checksum(b""))
    with pytest.raises(WeightsError, match="cannot be read: Is a directory"):
        read_weights(tmp_path, checksum(b""))


def test_wrong_types(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(TypeError, match="path must be a str or path-like, got 3"):
        read_weights(3, "0" * 64)
    with pytest.raises(TypeError, match="sha256 must be a str, got None"):
        read_weights(path, None)
    with pytest.raises(TypeError, match="path must be a str or path-like, got None"):
        write_weights(None, TENSORS)
    for tensors in (None, [torch.ones(1)], {1: torch.ones(1)}, {"a": np.ones(1)}):
        with pytest.raises(TypeError, match="tensors must be a mapping of names to tensors"):
            write_weights(path, tensors)
    with pytest.raises(ValueError, match="dtype must be one of float16, bfloat16, float32"):
        write_weights(path, TENSORS, dtype="int8")
    assert list(tmp_path.iterdir()) == []


def test_never_over_an_existing_file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"model.safetensors exists; pass overwrite=True"):
        write_weights(path, TENSORS)
    assert path.read_bytes() == b"mine"
    found = write_weights(path, TENSORS, overwrite=True)
    assert read_weights(path, found).keys() == TENSORS.keys()


def test_load_module_gives_the_network(saved, module):
    loaded = load_module(saved.card, saved.folder)
    assert not loaded.training
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=5e-4, atol=1e-6)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_load_module_leaves_the_random_state(saved):
    before = torch.random.get_rng_state()
    load_module(saved.card, saved.folder)
    assert_array_equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_parameters": 131}, "has 130 parameters, its card says 131"),
        ({"dtype": "bfloat16"}, "stores float16, its card says bfloat16"),
        ({"bytes": 7}, "bytes, its card says 7; the file is truncated or another one"),
        ({"sha256": "0" * 64}, "it must be 0000"),
        ({"file": "other.safetensors"}, "other.safetensors cannot be read"),
    ],
)
def test_a_card_that_disagrees_is_refused(saved, change, message):
    card = replace(saved.card, weights=replace(saved.card.weights, **change))
    with pytest.raises(WeightsError, match=message):
        load_module(card, saved.folder)


def test_a_card_without_weights_is_refused(card, tmp_path):
    with pytest.raises(WeightsError, match=r"the card of tiny.v1 names no weights"):
        load_module(card, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("head.bias"), "tensors missing in the file 1: head.bias"),
        (lambda t: t.update(extra=torch.ones(1)), "tensors unknown to the network 1: extra"),
        (
            lambda t: t.update({"head.bias": torch.ones(3)}),
            r"head.bias is float32 \(3,\) in the file, float32 \(2,\) in the network",
        ),
        (
            lambda t: t.update({"head.bias": torch.ones(2, dtype=torch.int32)}),
            r"head.bias is int32 \(2,\) in the file, float32 \(2,\) in the network",
        ),
    ],
)
def test_tensors_of_another_network_are_refused(card, saved, module, change, message):
    tensors = module.state_dict()
    change(tensors)
    data = pack(tensors, "float16")
    weights = replace(saved.card.weights, sha256=checksum(data), bytes=len(data))
    with pytest.raises(WeightsError, match=message):
        load_module(replace(card, weights=weights), data)


def test_an_unknown_network_is_refused(saved):
    with pytest.raises(ValueError, match="architecture must be one of"):
        load_module(replace(saved.card, architecture="os:system"), saved.folder)
