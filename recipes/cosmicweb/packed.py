"""
Pack some maps of each snapshot with the state of a training, to go on where there is little room.

.. code-block:: console

    $ python recipes/cosmicweb/packed.py FOLDER MODEL FILE --scale 100mpc --whole --megabytes 32
    $ python recipes/cosmicweb/train.py FOLDER MODEL --scale 100mpc --packed FILE --minutes 9

Logarithms of densities are rounded with a dither that is taken off again: what is left of the
rounding is white noise, and values are not discrete.
"""

import argparse
import lzma
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset

from astrodlkit.training import step_generator

# Of natural logarithms, and the smallest.
STEP, LOW = 0.08, -7.0


def dither(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Parts of a step."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def packed(maps: np.ndarray, seed: int) -> bytes:
    """Densities (n, side, side)."""
    logs = (np.log(np.maximum(maps, 1e-6)) - LOW) / STEP
    levels = np.floor(logs + dither(maps.shape, seed)).clip(0, 255).astype(np.uint8)
    return lzma.compress(np.diff(levels, axis=2, prepend=np.uint8(0)).tobytes(), preset=1)


def unpacked(data: bytes, side: int, seed: int) -> np.ndarray:
    """Logarithms of densities, (n, side, side), float16."""
    steps = np.frombuffer(lzma.decompress(data), np.uint8).reshape(-1, side, side)
    levels = np.cumsum(steps, axis=2, dtype=np.uint8)
    return ((levels + 0.5 - dither(levels.shape, seed)) * STEP + LOW).astype(np.float16)


class PackedSlabs(IterableDataset):
    """
    Batches of packed maps at random orientations, without end.

    Parameters
    ----------
    content : dict
        What this script wrote.
    batch_size : int
        Maps in a batch.
    seed : int
        Batch i depends on the seed and i.
    device : torch.device
        Where the maps lie.
    """

    def __init__(
        self, content: dict, batch_size: int, seed: int, device: torch.device, first: int = 0
    ) -> None:
        rounds = [
            unpacked(d.numpy().tobytes(), content["side"], i) for i, d in enumerate(content["maps"])
        ]
        self.logs = torch.from_numpy(np.concatenate(rounds)).to(device)
        self.conditions = content["conditions"].repeat(len(rounds), 1).to(device)
        self.batch_size, self.seed, self.first = batch_size, seed, first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Maps of 1 + delta (n, side, side) and conditions (n, 3)."""
        device = self.logs.device
        for i in count(self.first):
            generator = step_generator(self.seed + 1, i, device)
            n = self.batch_size
            at = torch.randint(len(self.logs), (n,), generator=generator, device=device)
            turned = torch.rand(3, n, 1, 1, generator=generator, device=device) < 0.5
            maps = self.logs[at].float().exp()
            maps = torch.where(turned[0], maps.flip(1), maps)
            maps = torch.where(turned[1], maps.flip(2), maps)
            yield torch.where(turned[2], maps.mT, maps), self.conditions[at]


def main() -> None:
    """Command line."""
    # Where a packed training runs there is not all that boxes need.
    from boxes import THICKNESS
    from prior import conditions
    from train import training_boxes

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("truth", type=Path, help="folder that truth.py was given")
    parser.add_argument("model", type=Path, help="folder of the training to go on with")
    parser.add_argument("file", type=Path)
    parser.add_argument("--scale", choices=THICKNESS, default="500mpc")
    parser.add_argument("--whole", action="store_true", help="maps of boxes of the whole side")
    parser.add_argument("--megabytes", type=float, default=30.0, help="for the maps")
    parser.add_argument("--seed", type=int, default=50)
    args = parser.parse_args()

    boxes = training_boxes(args.truth / args.scale)[int(args.whole)]
    side, thickness = boxes[0].settings["side"], THICKNESS[args.scale]
    known = np.concatenate([conditions(box) for box in boxes])
    n_slabs = 3 * (side // thickness)
    rng = np.random.default_rng(args.seed)
    most = int(args.megabytes * 1e6 / (len(known) * side**2) / 0.3)
    rounds = [[] for _ in range(min(n_slabs, most))]
    for box in boxes:
        for snapshot in range(len(box.redshifts)):
            order = rng.permutation(n_slabs)[: len(rounds)]
            cells = box.density(snapshot)
            for maps, slab in zip(rounds, order, strict=True):
                axis, first = divmod(int(slab), side // thickness)
                turned = np.moveaxis(cells, axis, 0)
                maps.append(turned[first * thickness : (first + 1) * thickness].mean(0))
    data, size = [], 0
    for i, maps in enumerate(rounds):
        one = packed(np.stack(maps), i)
        size += len(one)
        if size > args.megabytes * 1e6:
            break
        data.append(one)
    print(f"{len(data)} maps of each of {len(known)} snapshots")
    logs = np.log(np.maximum(np.stack(rounds[0]), 1e-6))
    off = unpacked(data[0], side, 0) - logs
    print(f"logarithms {logs.min():.2f} to {logs.max():.2f}; RMS of the rounding {off.std():.4f}")
    for i in (0, 4):
        true, found = np.exp(logs[i]), np.exp(logs[i] + off[i])
        power = [np.abs(np.fft.rfft2(x)) ** 2 for x in (true, found)]
        k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * 2
        near = [p[(k > 0.9) & (k < 1)].mean() for p in power]
        print(f"P(k) near Nyquist, map {i}: off by {near[1] / near[0] - 1:.4f}")
    state = torch.load(args.model / "last.ckpt", weights_only=True, map_location="cpu")
    state = state["state_dict"]
    state = {n: w.half() if n.startswith("critic.") else w for n, w in state.items()}
    content = {
        "scale": args.scale,
        "pixel": boxes[0].pixel,
        "side": side,
        # Bytes would be written as text.
        "maps": [torch.from_numpy(np.frombuffer(d, np.uint8).copy()) for d in data],
        "conditions": torch.from_numpy(known).float(),
        "state": state,
    }
    torch.save(content, args.file)


if __name__ == "__main__":
    main()
