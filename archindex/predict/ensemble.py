"""NetworkEnsemble: small networks that learn the order of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from archindex.core.checks import check_int
from archindex.predict.base import Floats
from archindex.predict.committee import RATE, Committee, Singles

if TYPE_CHECKING:
    import torch
    from torch import nn

MARGIN: Final = 0.1
"""Outputs for two architectures should differ by this at least, in the right direction."""

_HIDDEN: Final = 128
_BLOCK: Final = 16_384


class NetworkEnsemble(Committee):
    """Average of networks with two hidden layers, trained by a hinge loss on pairs within a batch.

    Parameters
    ----------
    steps : int
        Steps of AdamW for each network.

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell, "Simple and Scalable Predictive Uncertainty Estimation using Deep
    Ensembles", NeurIPS 2017.
    """

    def __init__(self, steps: int = 1000) -> None:
        super().__init__()
        self._steps = check_int("steps", steps, low=1)

    @property
    def name(self) -> str:
        """``"ensemble"``."""
        return "ensemble"

    def _trained(self, inputs: Singles, scores: Floats, seed: int) -> nn.Module:
        import torch
        from torch import nn

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = nn.Sequential(
                nn.Linear(inputs.shape[1], _HIDDEN), nn.GELU(), nn.Dropout(0.1),
                nn.Linear(_HIDDEN, _HIDDEN), nn.GELU(), nn.Dropout(0.1), nn.Linear(_HIDDEN, 1),
            )  # fmt: skip
            optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._steps)
            x, y = torch.from_numpy(inputs), torch.from_numpy(scores.astype(np.float32))
            size = min(max(16, len(y) // 8), 64)
            for _ in range(self._steps):
                rows = torch.randint(len(y), (size,))
                loss = _hinge(network(x[rows])[:, 0], y[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        return network.eval()

    def _outputs(self, member: nn.Module, inputs: Singles) -> Floats:
        import torch

        with torch.no_grad():
            blocks = [
                member(torch.from_numpy(inputs[start : start + _BLOCK]))[:, 0].numpy()
                for start in range(0, len(inputs), _BLOCK)
            ]
        return np.concatenate([np.empty(0), *blocks])


def _hinge(outputs: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    import torch

    wanted = torch.sign(scores[:, None] - scores)
    missing = torch.relu(MARGIN - (outputs[:, None] - outputs) * wanted)
    return (missing * (wanted != 0)).mean()
