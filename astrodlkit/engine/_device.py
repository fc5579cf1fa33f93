"""Where a network runs, and in which floating-point format."""

from collections.abc import Callable

import torch

__all__ = ["BFLOAT16_TOLERANCE", "resolve_device", "resolve_precision"]

BFLOAT16_TOLERANCE = 0.1
"""
Difference from float32, in units of a network's own error, below which ``precision="auto"``
takes bfloat16: it adds half a per cent to the error.
"""

_PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """
    The device that a name stands for.

    Parameters
    ----------
    device : str or `torch.device`
        ``"auto"`` (a CUDA device where there is one, else the CPU) or any
        name that torch knows: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Returns
    -------
    device : `torch.device`
        A device of this machine.

    Raises
    ------
    TypeError
        If ``device`` is neither a string nor a device.
    ValueError
        If there is no such device here.

    Examples
    --------
    >>> from astrodlkit.engine import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if not isinstance(device, (str, torch.device)):
        raise TypeError(
            f"device must be a name such as 'auto' or 'cpu', got {type(device).__name__}"
        )
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        # Only an allocation tells whether the device is really there.
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        reason = str(exc).splitlines()[0]
        raise ValueError(
            f"device {str(device)!r} cannot be used here ({reason}); 'auto' takes what there is"
        ) from exc
    return resolved


def resolve_precision(
    precision: str, device: torch.device, *, difference: Callable[[], float]
) -> str:
    """
    The floating-point format to compute in.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        ``"auto"``: bfloat16 where the processor computes in it and what that
        changes is less than `BFLOAT16_TOLERANCE`, a tenth, of the network's
        own error; else float32.
    device : `torch.device`
        Where the network runs.
    difference : callable
        Measures the root mean square difference of the results from those
        in float32, in units of the network's error; called only if the
        processor has bfloat16.

    Returns
    -------
    precision : {"float32", "bfloat16"}
        The format.

    Raises
    ------
    ValueError
        If ``precision`` is none of the three.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.engine import resolve_precision
    >>> resolve_precision("auto", torch.device("cpu"), difference=lambda: 0.2)
    'float32'
    """
    if precision not in _PRECISIONS:
        raise ValueError(f"precision must be one of {_PRECISIONS}, got {precision!r}")
    if precision != "auto":
        return precision
    if _has_bfloat16(device) and difference() < BFLOAT16_TOLERANCE:
        return "bfloat16"
    return "float32"


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the processor has instructions for bfloat16 and does not emulate it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False
