"""
Does what a network adds to its webs know where it is in blocks of 16 pixels?

.. code-block:: console

    $ python recipes/cosmicweb/lattice.py cosmicweb-500mpc

It prints the deviation, over the places in a block, of the mean of what is added there, in units
of the deviation of the Gaussianised map; and the same of maps that are moved at random: chance.
"""

import argparse

import torch

from astrodlkit import load_model

SEED, SIDE = 52, 256
# Matter density, sigma8 at the redshift, redshift.
CONDITIONS = ((0.31, 0.81, 0.0), (0.2, 0.7, 0.5), (0.4, 0.55, 1.0))


def summed(maps: torch.Tensor, step: int) -> torch.Tensor:
    """Over all blocks, (step, step)."""
    return maps.unfold(1, step, step).unfold(2, step, step).sum((0, 1, 2))


@torch.inference_mode()
def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="name, or folder of a card")
    parser.add_argument("-n", type=int, default=180, help="maps")
    args = parser.parse_args()
    network = load_model(args.model, device="cpu").module
    step, known = network.network.step, torch.tensor(CONDITIONS)
    random = torch.Generator().manual_seed(SEED)
    here, moved, deviation = torch.zeros(step, step), torch.zeros(step, step), []
    for _ in range(-(-args.n // len(known))):
        noise = torch.randn(len(known), network.n_channels, SIDE, SIDE, generator=random)
        fields = network.gaussian(noise[:, :2], known)
        web = network.web(fields, known)
        values = network.refined(web, fields, noise[:, 2:], known)
        deviation.append(values.std())
        added = values - web
        here += summed(added, step)
        shifts = torch.randint(step, (len(known), 2), generator=random).tolist()
        rolled = [one.roll(by, (0, 1)) for one, by in zip(added, shifts, strict=True)]
        moved += summed(torch.stack(rolled), step)
    blocks = len(deviation) * len(known) * (SIDE // step) ** 2
    unit = blocks * torch.stack(deviation).mean()
    print(f"{blocks} blocks: {here.std() / unit:.4f}, by chance {moved.std() / unit:.4f}")


if __name__ == "__main__":
    main()
