"""From the cell level to the network level, for many architectures: their skeletons written out op by op."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from archindex.convert.network import Network
from archindex.core.batch import GraphBatch
from archindex.core.checks import check_choice
from archindex.core.errors import ArgumentError
from archindex.spaces.base import Architecture, Buildable

if TYPE_CHECKING:
    from archindex.convert.torch_run import Runner


class Expander:
    """Writes out whole networks and remembers the calls they are made of.

    A network is that of `archindex.convert.from_torch` on the module that its space builds, and has the same
    network-level `arch_id`; see `archindex.convert.torch_run.Runner` for how it is found faster. No weights
    are made. Use one expander for many architectures: the first of a space takes seconds, later ones a
    hundredth (`benchmarks/results/encoders/round_trip.json` has the times).

    Examples
    --------
    >>> import archindex as ax
    >>> expander = ax.convert.Expander()
    >>> cells = ax.space("nats_sss").sample(2, seed=0)
    >>> [cell.graph.n_nodes for cell in cells], [g.n_nodes for g in expander.graphs(cells)]
    ([29, 29], [90, 90])
    """

    def __init__(self) -> None:
        self._runner: Runner | None = None
        self._inputs: dict[tuple[str, str], Any] = {}

    def network(self, architecture: Architecture, dataset: str | None = None) -> Network:
        """Return the network of an architecture.

        Parameters
        ----------
        architecture : Architecture
            Of a space that builds modules.
        dataset : str, optional
            Data set that the network is for; the first of the space if left out.

        Raises
        ------
        ArgumentError
            If the space builds no modules, or torch cannot trace this one.
        UnknownNameError
            If the space has no such data set.
        """
        import torch

        from archindex.convert.torch_import import from_torch
        from archindex.convert.torch_run import Hollow, Runner

        if not isinstance(architecture, Architecture):
            raise ArgumentError("expected an Architecture", got=architecture, fix="parse it with its space")
        space = architecture.space
        if not isinstance(space, Buildable):
            raise ArgumentError("expected an architecture of a space that builds modules", got=space.name)
        chosen = check_choice(f"data set of {space.name}", dataset or space.datasets[0], space.datasets)
        self._runner = self._runner or Runner()
        key = (space.name, chosen)
        if key not in self._inputs:
            with torch.device("meta"):
                self._inputs[key] = space.example_inputs(chosen)
        with Hollow():
            module = space.build_module(architecture, chosen)
        try:
            return self._runner.network(module, self._inputs[key])
        except ArgumentError:
            # What cannot be run on shapes alone may still be traced as a whole.
            return from_torch(module, self._inputs[key])

    def graphs(self, architectures: Iterable[Architecture], dataset: str | None = None) -> GraphBatch:
        """Return the graphs of the networks of many architectures, packed; see `network`."""
        return GraphBatch.from_graphs(self.network(one, dataset).graph for one in architectures)
