"""PairwiseComparator: which of two architectures is better, asked against the labelled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from archindex.core.checks import check_int
from archindex.predict.base import Floats
from archindex.predict.committee import RATE, Committee, Singles

if TYPE_CHECKING:
    from torch import nn

_HIDDEN: Final = 128
_CODE: Final = 32
_PAIRS: Final = 256  # in a step
_SOFTNESS: Final = 4.0  # of the outcome of a contest; a plain chance saturates and ties the best
_BLOCK: Final = 4096


class PairwiseComparator(Committee):
    """Learn the chance that one architecture is better than another; predict by contests with labelled ones.

    The comparator sees two codes and gives ``f(a, b)``; the chance is the logistic function of
    ``f(a, b) - f(b, a)``, so that it and its opposite add up to one. An architecture's output is its mean
    outcome against labelled architectures at evenly spaced ranks.

    Parameters
    ----------
    steps : int
        Steps of AdamW for each comparator.
    rivals : int
        Labelled architectures in the contests.

    References
    ----------
    Chen et al., "Contrastive Neural Architecture Search with Neural Architecture Comparators", CVPR 2021.
    """

    def __init__(self, steps: int = 500, rivals: int = 64) -> None:
        super().__init__()
        self._steps = check_int("steps", steps, low=1)
        self._rivals = check_int("rivals", rivals, low=2)

    @property
    def name(self) -> str:
        """``"pairwise"``."""
        return "pairwise"

    def _trained(self, inputs: Singles, scores: Floats, seed: int) -> tuple[nn.Module, nn.Module, Singles]:
        import torch
        from torch import nn

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            code = nn.Sequential(
                nn.Linear(inputs.shape[1], _HIDDEN), nn.GELU(), nn.Dropout(0.1),
                nn.Linear(_HIDDEN, _CODE), nn.GELU(),
            )  # fmt: skip
            compare = nn.Sequential(nn.Linear(2 * _CODE, _CODE), nn.GELU(), nn.Linear(_CODE, 1))
            both = nn.ModuleList([code, compare])
            optimizer = torch.optim.AdamW(both.parameters(), lr=RATE, weight_decay=1e-2)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._steps)
            x, y = torch.from_numpy(inputs), torch.from_numpy(scores.astype(np.float32))
            for _ in range(self._steps):
                one, other = torch.randint(len(y), (2, _PAIRS))
                odds = _log_odds(compare, code(x[one]), code(x[other]))
                better = (torch.sign(y[one] - y[other]) + 1) / 2
                loss = nn.functional.binary_cross_entropy_with_logits(odds, better)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        both.eval()
        places = np.linspace(0, len(scores) - 1, min(self._rivals, len(scores))).round().astype(int)
        return code, compare, inputs[np.argsort(scores, kind="stable")[places]]

    def _outputs(self, member: tuple[nn.Module, nn.Module, Singles], inputs: Singles) -> Floats:
        import torch

        code, compare, against = member
        outcome = [np.empty(0)]
        with torch.no_grad():
            rivals = code(torch.from_numpy(against))
            for start in range(0, len(inputs), _BLOCK):
                a = code(torch.from_numpy(inputs[start : start + _BLOCK]))
                won = [torch.tanh(_log_odds(compare, a, b.expand(len(a), -1)) / _SOFTNESS) for b in rivals]
                outcome.append(torch.stack(won).mean(dim=0).numpy())
        return np.concatenate(outcome)


def _log_odds(compare: nn.Module, a: Any, b: Any) -> Any:
    """Return the log odds of the codes `a` being better than `b`; shape (n,)."""
    import torch

    return (compare(torch.cat([a, b], dim=1)) - compare(torch.cat([b, a], dim=1)))[:, 0]
