"""From Gaussian numbers to those that an encoder finds."""

import torch
from torch import Tensor, nn

__all__ = ["CouplingFlow"]


class CouplingFlow(nn.Module):
    """
    An invertible map of Gaussian numbers, given conditions.

    Half of the numbers scale and shift the other half, in turns (Dinh et al. 2017, ICLR). A new
    one changes nothing.

    Parameters
    ----------
    n : int
        Numbers of a row, even.
    n_conditions : int
        Numbers that go with each row.
    n_layers : int
        Couplings.
    n_hidden : int
        Of their networks.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks._coupling_flow import CouplingFlow
    >>> flow, x, c = CouplingFlow(4, 2), torch.randn(3, 4), torch.randn(3, 2)
    >>> there, _ = flow.inverse(flow(x, c), c)
    >>> bool(torch.allclose(there, x))
    True
    """

    def __init__(self, n: int, n_conditions: int, n_layers: int = 6, n_hidden: int = 96) -> None:
        super().__init__()
        half = n // 2
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(half + n_conditions, n_hidden), nn.SiLU(),
                nn.Linear(n_hidden, n_hidden), nn.SiLU(),
                nn.Linear(n_hidden, 2 * half),
            )
            for _ in range(n_layers)
        )  # fmt: skip
        for layer in self.layers:
            *_, weight, bias = layer.parameters()
            nn.init.zeros_(weight)
            nn.init.zeros_(bias)

    def forward(self, numbers: Tensor, conditions: Tensor) -> Tensor:
        """
        Of Gaussian numbers.

        Parameters
        ----------
        numbers : `~torch.Tensor`, shape (n, n_numbers)
            Gaussian.
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            Of order 1.

        Returns
        -------
        numbers : `~torch.Tensor`, shape (n, n_numbers)
            Distributed as what the flow was fitted to.
        """
        kept, moved = numbers.chunk(2, 1)
        for layer in self.layers:
            scale, shift = self._scale_and_shift(layer, kept, conditions)
            kept, moved = moved * scale.exp() + shift, kept
        return torch.cat([kept, moved], 1)

    def inverse(self, numbers: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """
        Back to Gaussian numbers.

        Parameters
        ----------
        numbers, conditions : `~torch.Tensor`
            As for `forward`; distributed as what the flow was fitted to.

        Returns
        -------
        numbers : `~torch.Tensor`, shape (n, n_numbers)
            Gaussian.
        log_volume : `~torch.Tensor`, shape (n,)
            Logarithm of how much larger a volume becomes.
        """
        kept, moved = numbers.chunk(2, 1)
        volume = numbers.new_zeros(len(numbers))
        for layer in reversed(self.layers):
            scale, shift = self._scale_and_shift(layer, moved, conditions)
            kept, moved = moved, (kept - shift) * (-scale).exp()
            volume = volume - scale.sum(1)
        return torch.cat([kept, moved], 1), volume

    def _scale_and_shift(
        self, layer: nn.Module, numbers: Tensor, conditions: Tensor
    ) -> tuple[Tensor, Tensor]:
        # A few rounded digits would be those of the inverse.
        with torch.autocast(numbers.device.type, enabled=False):
            scale, shift = layer(torch.cat([numbers, conditions], 1)).chunk(2, 1)
        return scale.tanh(), shift
