"""Params and FLOPs of networks, counted on their torch modules without running them on data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from archindex.spaces.base import Buildable, Costs

if TYPE_CHECKING:
    from torch import Tensor, nn


def module_costs(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[int, int]:
    """Return params and FLOPs of one inference of `module` on `inputs`.

    Params: the elements of all parameters, a shared one once. FLOPs: the multiply-adds of convolutions,
    matrix products and attention, as torch's `FlopCounterMode` finds them (it counts a multiply-add twice,
    this once); biases, norms, activations, pooling and sums count nothing.

    Parameters
    ----------
    module : torch.nn.Module
        The network; on the ``meta`` device nothing is computed.
    inputs : tuple of torch.Tensor
        What its ``forward`` takes, a batch of one, on the same device.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module.eval()(*inputs)
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2


class CountedOnModule:
    """Gives a `Buildable` space its costs: every network is built without numbers and counted.

    Takes some ten milliseconds a network; a space with a closed form for its costs states that instead.
    """

    def costs(self: Any, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs of the networks for `dataset`; see `module_costs` for what counts.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : str
            One of the space's ``datasets``.

        Raises
        ------
        UnknownNameError
            If the networks are not defined for `dataset`.
        """
        import torch

        space: Buildable = self
        counted = []
        with torch.device("meta"):
            inputs = space.example_inputs(dataset)
            for native in natives:
                counted.append(module_costs(space.build_module(self.parse(native), dataset), inputs))
        return Costs.of(counted)
