"""Several processes, on one machine or more: options of scripts, and what is whose."""

import argparse
import logging
import warnings
from typing import Any, NamedTuple

import torch

from .._optional import import_optional

__all__ = [
    "add_process_options",
    "count_processes",
    "process_options",
    "step_generator",
    "this_process",
]

# Lightning's names for those that look for parameters without a gradient.
_PARTIAL = {
    name: f"{name}_find_unused_parameters_true"
    for name in ("ddp", "ddp_spawn", "ddp_fork", "ddp_notebook")
}


class _Process(NamedTuple):
    rank: int
    n: int


def this_process() -> _Process:
    """
    Which of the processes of a training this is.

    Returns
    -------
    rank, n : int
        Its number, from 0, and how many there are: 0 and 1 where there is
        but one, and after a training by processes that have ended with it.

    Examples
    --------
    >>> from astrodlkit.training import this_process
    >>> rank, n = this_process()
    >>> if rank == 0:
    ...     print("saved")
    saved
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return _Process(0, 1)
    return _Process(distributed.get_rank(), distributed.get_world_size())


def step_generator(seed: int, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """
    Random numbers of a step's own, others in each process.

    A training that was interrupted sees the same ones as an unbroken one.

    Parameters
    ----------
    seed : int
        Of the training.
    step : int
        Number of the step.
    device : `torch.device` or str, optional
        Where the numbers are made; those of another device are others.

    Returns
    -------
    generator : `torch.Generator`
        On that device.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.training import step_generator
    >>> first, again = (torch.rand(2, generator=step_generator(1, 0)) for _ in range(2))
    >>> bool((first == again).all())
    True
    """
    rank, n = this_process()
    return torch.Generator(device).manual_seed((1_000_003 * seed + step) * n + rank)


def add_process_options(parser: argparse.ArgumentParser) -> None:
    """
    Give a script the options ``--devices``, ``--nodes``, ``--strategy`` and ``--accelerator``.

    Parameters
    ----------
    parser : `argparse.ArgumentParser`
        The script's; what it finds is for `process_options`.

    Examples
    --------
    >>> from argparse import ArgumentParser
    >>> from astrodlkit.training import add_process_options, process_options
    >>> parser = ArgumentParser()
    >>> add_process_options(parser)
    >>> process_options(parser.parse_args(["--devices", "2"]))
    {'devices': 2, 'num_nodes': 1, 'strategy': 'auto', 'accelerator': 'auto'}
    """
    group = parser.add_argument_group("several processes, by Lightning")
    group.add_argument("--devices", type=_positive, default=1, help="processes of each machine")
    group.add_argument("--nodes", type=_positive, default=1, help="machines")
    group.add_argument("--strategy", default="auto", help="ddp, ddp_spawn or another")
    group.add_argument("--accelerator", default="auto", help="cpu, gpu or another")


def process_options(args: argparse.Namespace, *, partial: bool = False) -> dict[str, Any]:
    """
    Options of `fit` for the processes that a script is asked for.

    Parameters
    ----------
    args : `argparse.Namespace`
        From a parser that `add_process_options` was given.
    partial : bool, optional
        Whether there are steps, as those of a critic, in which some
        parameters have no gradient.

    Returns
    -------
    options : dict
        To pass on: ``fit(..., **options)``.

    Examples
    --------
    >>> from argparse import ArgumentParser
    >>> from astrodlkit.training import add_process_options, process_options
    >>> parser = ArgumentParser()
    >>> add_process_options(parser)
    >>> args = parser.parse_args(["--devices", "2", "--strategy", "ddp"])
    >>> process_options(args, partial=True)["strategy"]
    'ddp_find_unused_parameters_true'
    """
    strategy = args.strategy
    if strategy == "auto" and args.devices * args.nodes > 1 and partial:
        strategy = "ddp"
    return {
        "devices": args.devices,
        "num_nodes": args.nodes,
        "strategy": _PARTIAL.get(strategy, strategy) if partial else strategy,
        "accelerator": args.accelerator,
    }


def count_processes(*, devices: Any, num_nodes: int, accelerator: str) -> int:
    """How many processes Lightning's trainer makes of these."""
    lightning = import_optional("lightning.pytorch", extra="train", purpose="for training")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        runner = lightning.Trainer(
            devices=devices,
            num_nodes=num_nodes,
            accelerator=accelerator,
            max_steps=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    return runner.num_devices * runner.num_nodes


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text}")
    return number
