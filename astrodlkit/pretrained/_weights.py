"""Weight files: read, checked and written; never anything but safetensors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256 as _sha256
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from .._typing import PathLike
from ..exceptions import WeightsError
from ._card import ModelCard
from ._parts import DTYPES

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

__all__ = [
    "build_module",
    "count_parameters",
    "fill",
    "load_module",
    "pack",
    "read_bytes",
    "read_weights",
    "stored_dtypes",
    "unpack",
    "widen",
    "write_weights",
    "write_whole",
]

_DISGUISES = {
    b"PK\x03\x04": "a zip archive, such as torch.save writes",
    b"\x80": "a pickle",
    b"\x1f\x8b": "a gzip file",
    b"\x89HDF": "an HDF5 file",
    b"version https://git-lfs": "a Git LFS pointer without its file",
}


def read_weights(path: PathLike, sha256: str) -> dict[str, Tensor]:
    """
    Read a weight file.

    Parameters
    ----------
    path : str or path-like
        A safetensors file.
    sha256 : str
        The checksum that it must have.

    Returns
    -------
    tensors : dict of `~torch.Tensor`
        All floating-point tensors as float32, on the CPU.

    Raises
    ------
    astrodlkit.exceptions.WeightsError
        If the file is missing or damaged, does not have the checksum, is not
        safetensors, or holds values that are not finite.

    See Also
    --------
    write_weights : The reverse.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import torch
    >>> from astrodlkit.pretrained import read_weights, write_weights
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.safetensors"
    ...     checksum = write_weights(path, {"slope": torch.eye(2)})
    ...     tensors = read_weights(path, checksum)
    >>> tensors["slope"].dtype
    torch.float32
    """
    if not isinstance(sha256, str):
        raise TypeError(f"sha256 must be a str, got {sha256!r}")
    path = _as_path(path)
    return widen(unpack(read_bytes(path), sha256, path.name))


def write_weights(
    path: PathLike,
    tensors: Mapping[str, Tensor],
    *,
    dtype: str = "float16",
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> str:
    """
    Write a weight file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        Where to; its folder is made if need be.
    tensors : mapping of str to `~torch.Tensor`
        A state dict.
    dtype : {'float16', 'bfloat16', 'float32'}
        Type to store floating-point tensors of two or more dimensions in.
        The others (biases, running statistics) are small and stay float32.
    metadata : mapping of str to str, optional
        Text for the file's header.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    sha256 : str
        Checksum of the file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is not set.
    astrodlkit.exceptions.WeightsError
        If a value is not finite, or not in ``dtype``.

    See Also
    --------
    read_weights : The reverse, with an example.
    save_model : Weights together with their card.
    """
    path = _as_path(path)
    data = pack(tensors, dtype, metadata)
    write_whole({path: data}, overwrite)
    return _sha256(data).hexdigest()


def pack(
    tensors: Mapping[str, Tensor], dtype: str, metadata: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a weight file; arguments as for `write_weights`."""
    import torch
    from safetensors.torch import save

    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor)
        for name, tensor in tensors.items()
    ):
        raise TypeError("tensors must be a mapping of names to tensors, such as a state dict")
    if not tensors:
        raise ValueError("tensors must hold at least one tensor")
    stored = {}
    for name, tensor in tensors.items():
        kind = tensor.dtype
        if tensor.is_floating_point():
            kind = getattr(torch, dtype) if tensor.ndim > 1 else torch.float32
        # A copy: safetensors refuses tensors that share memory, as tied weights do.
        stored[name] = tensor.detach().to("cpu", kind, copy=True).contiguous()
    _refuse_non_finite(stored, f"as {dtype}, the weights")
    return save(stored, metadata=dict(metadata) if metadata else None)


def write_whole(files: Mapping[Path, bytes], overwrite: bool) -> None:
    """Write files of one folder, all of them or none, in their order."""
    for path in files:
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    folder = next(iter(files)).parent
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".writing-") as staging:
        for path, data in files.items():
            (Path(staging) / path.name).write_bytes(data)
        for path in files:
            (Path(staging) / path.name).replace(path)


def build_module(card: ModelCard) -> Module:
    """The network of a card with random weights, float32; no global random state is touched."""
    import torch

    from ..networks import build

    with torch.random.fork_rng(devices=[]):
        # Whatever the default of torch is.
        return build(card.architecture, **card.options).float()


def load_module(card: ModelCard, source: Traversable | bytes) -> Module:
    """
    The network of a card with its weights, ready for use.

    Parameters
    ----------
    card : ModelCard
        Whose ``weights`` are known.
    source : path or bytes
        The folder of the weight file, or what is in the file.

    Returns
    -------
    module : `~torch.nn.Module`
        In evaluation mode, on the CPU, float32.

    Raises
    ------
    astrodlkit.exceptions.WeightsError
        If the file is refused, or does not agree with the card or with the
        network that the card names.
    """
    weights = card.weights
    if weights is None:
        raise WeightsError(f"the card of {card.full_name} names no weights")
    data = source if isinstance(source, bytes) else read_bytes(source / weights.file)
    if len(data) != weights.bytes:
        raise WeightsError(
            f"{weights.file} has {len(data)} bytes, its card says {weights.bytes}"
            f"{_disguise(data)}; the file is truncated or another one"
        )
    stored = unpack(data, weights.sha256, weights.file)
    kinds = stored_dtypes(stored)
    if kinds - {weights.dtype}:
        raise WeightsError(
            f"{weights.file} stores {', '.join(sorted(kinds))}, its card says {weights.dtype}"
        )
    module = build_module(card)
    fill(module, widen(stored), f"{weights.file} and the network {card.architecture!r}")
    n = count_parameters(module)
    if n != weights.n_parameters:
        raise WeightsError(
            f"the network {card.architecture!r} of {card.full_name} has {n} parameters, "
            f"its card says {weights.n_parameters}"
        )
    return module.eval()


def fill(module: Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Put tensors into a module that has exactly these."""
    own = module.state_dict()
    differ = [
        f"{name} is {_form(tensors[name])} in the file, {_form(own[name])} in the network"
        for name in own.keys() & tensors.keys()
        if tensors[name].shape != own[name].shape
        or tensors[name].is_floating_point() != own[name].is_floating_point()
    ]
    trouble = [
        f"{label} {len(names)}: {', '.join(sorted(names)[:3])}"
        for label, names in (
            ("missing in the file", own.keys() - tensors.keys()),
            ("unknown to the network", tensors.keys() - own.keys()),
            ("of another form", differ),
        )
        if names
    ]
    if trouble:
        raise WeightsError(f"{what} do not agree; tensors {'; tensors '.join(trouble)}")
    module.load_state_dict(tensors)


def stored_dtypes(tensors: Mapping[str, Tensor]) -> set[str]:
    """Names of the types that a card's ``dtype`` speaks of."""
    return {_dtype(t) for t in tensors.values() if t.is_floating_point() and t.ndim > 1}


def count_parameters(module: Module) -> int:
    """What a card's ``n_parameters`` counts."""
    return sum(parameter.numel() for parameter in module.parameters())


def _as_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or path-like, got {path!r}")
    return Path(path)


def read_bytes(path: Traversable) -> bytes:
    """Content of a weight file."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise WeightsError(f"weight file {path} cannot be read: {exc.strerror}") from exc


def unpack(data: bytes, sha256: str, name: str) -> dict[str, Tensor]:
    """Tensors as they are stored; the checksum comes before anything is parsed."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    found = _sha256(data).hexdigest()
    if found != sha256:
        raise WeightsError(
            f"{name} has sha256 {found}, it must be {sha256}{_disguise(data)}; "
            "the file is damaged or another one: do not use it"
        )
    try:
        tensors = load(data)
    # KeyError: a type of tensor that torch does not have.
    except (SafetensorError, KeyError, ValueError) as exc:
        raise WeightsError(f"{name} is not a safetensors file ({exc}){_disguise(data)}") from exc
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and _dtype(tensor) not in DTYPES:
            raise WeightsError(
                f"{name} stores {key} as {_dtype(tensor)}, it must be {' or '.join(DTYPES)}"
            )
    _refuse_non_finite(tensors, name)
    return tensors


def widen(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Floating-point tensors as float32."""
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def _refuse_non_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    bad = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise WeightsError(f"{what} hold values that are not finite, in {', '.join(bad[:3])}")


def _disguise(data: bytes) -> str:
    for magic, words in _DISGUISES.items():
        if data.startswith(magic):
            return f"; it is {words}, not safetensors"
    return ""


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _form(tensor: Tensor) -> str:
    return f"{_dtype(tensor)} {tuple(tensor.shape)}"
