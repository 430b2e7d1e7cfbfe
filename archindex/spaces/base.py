"""Search spaces: what an architecture may be, its native string, its graph and its neighbours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.core.checks import check_int
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.core.rng import generator

G = TypeVar("G")
"""Genotype: the hashable value by which a space works with an architecture."""


@dataclass(frozen=True)
class Architecture:
    """One architecture: a search space and the native string that names it there.

    Two architectures are equal when space and string are. Different strings may denote the same function:
    then their `arch_id` is the same.

    Attributes
    ----------
    space : SearchSpace
        The search space.
    native : str
        The native string, in the form that ``space.format`` writes.
    """

    space: SearchSpace[Any] = field(repr=False)
    native: str

    def __str__(self) -> str:
        return f"{self.space.name}:{self.native}"

    @cached_property
    def graph(self) -> ArchGraph:
        """The cell as a graph, as written: dead ops and skips included."""
        return self.space.to_graph(self)

    @cached_property
    def arch_id(self) -> str:
        """Content hash of the functional DAG; see `archindex.core.canonical`."""
        return str(self.space.arch_ids([self.native])[0])


class SearchSpace(ABC, Generic[G]):
    """Base of all search spaces.

    A subclass gives the eight members below; users call the public methods, which check and wrap them.
    Spaces are stateless and compare equal by name.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Registered name, e.g. ``"nasbench201"``."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """Number of native strings, aliases counted; None where nobody knows."""

    @abstractmethod
    def _parse(self, text: str) -> G:
        """Return the genotype of a native string, or raise `ArchitectureError`."""

    @abstractmethod
    def _format(self, genotype: G) -> str:
        """Return the native string of a genotype."""

    @abstractmethod
    def _graph(self, genotype: G) -> ArchGraph:
        """Return the graph of a genotype."""

    @abstractmethod
    def _genotype(self, graph: ArchGraph) -> G:
        """Return a genotype whose graph is `graph`, however numbered, or raise `ArchitectureError`."""

    @abstractmethod
    def _draw(self, rng: np.random.Generator) -> G:
        """Return a genotype drawn at random: uniformly, or as the space says."""

    @abstractmethod
    def _neighbors(self, genotype: G) -> Iterator[G]:
        """Yield every valid genotype that differs in one change."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<search space {self.name}>"

    def parse(self, text: str) -> Architecture:
        """Return the architecture that a native string names.

        Parameters
        ----------
        text : str
            Native string; blanks around it are ignored.

        Raises
        ------
        ArchitectureError
            If `text` names no architecture of this space.
        """
        if not isinstance(text, str):
            raise ArchitectureError(f"expected the native string of a {self.name} architecture", got=text)
        return Architecture(self, self._format(self._parse(text.strip())))

    def format(self, architecture: Architecture) -> str:
        """Return the native string of `architecture`."""
        return self._own(architecture).native

    def validate(self, text: str) -> bool:
        """Return whether `text` names an architecture of this space."""
        try:
            self.parse(text)
        except ArchitectureError:
            return False
        return True

    def to_graph(self, architecture: Architecture) -> ArchGraph:
        """Return the graph of `architecture`, as written."""
        return self._graph(self._parse(self._own(architecture).native))

    def from_graph(self, graph: ArchGraph) -> Architecture:
        """Return an architecture with this graph, whatever the order of its nodes.

        Raises
        ------
        ArchitectureError
            If no architecture of this space has it.
        """
        return Architecture(self, self._format(self._genotype(graph)))

    def sample(self, n: int, seed: int = 0) -> list[Architecture]:
        """Return `n` architectures drawn with replacement, uniformly where the space says nothing else."""
        rng = generator(seed, "sample", self.name)
        return [Architecture(self, self._format(self._draw(rng))) for _ in range(check_int("n", n, low=0))]

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return all architectures that differ from `architecture` in one change."""
        genotype = self._parse(self._own(architecture).native)
        return [Architecture(self, self._format(g)) for g in self._neighbors(genotype)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return one of the `neighbors`, drawn uniformly.

        Raises
        ------
        ArchitectureError
            If there is none.
        """
        around = self.neighbors(architecture)
        if not around:
            raise ArchitectureError("expected an architecture with neighbours", got=str(architecture))
        return around[int(rng.integers(len(around)))]

    def graphs(self, natives: Sequence[str]) -> GraphBatch:
        """Return the graphs of many native strings, packed.

        Raises
        ------
        ArchitectureError
            If a string names no architecture of this space.
        """
        return GraphBatch.from_graphs(self._graph(self._parse(text)) for text in natives)

    def arch_ids(self, natives: Sequence[str]) -> npt.NDArray[np.str_]:
        """Return the arch_id of many native strings; shape (n,)."""
        return arch_ids(self.graphs(natives), scope=self.name)

    def _own(self, architecture: Architecture) -> Architecture:
        if architecture.space != self:
            raise ArchitectureError(f"expected an architecture of {self.name}", got=str(architecture))
        return architecture


@runtime_checkable
class Enumerable(Protocol):
    """A space small enough to be listed."""

    def enumerate(self) -> Iterator[Architecture]:
        """Yield every architecture once, in a fixed order."""


@dataclass(frozen=True)
class Costs:
    """Computed costs of many architectures.

    Attributes
    ----------
    params, flops : ndarray of int64, shape (n,)
        Parameters, and multiply-adds of one inference, counted as the space states.
    """

    params: npt.NDArray[np.int64]
    flops: npt.NDArray[np.int64]

    @classmethod
    def of(cls, counted: Iterable[tuple[int, int]]) -> Costs:
        """Return the costs of architectures counted one by one, as pairs of params and FLOPs."""
        params, flops = np.array(list(counted), dtype=np.int64).reshape(-1, 2).T
        return cls(params.copy(), flops.copy())


@runtime_checkable
class Costed(Protocol):
    """A space whose costs follow from the native string."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets that the networks are defined for, e.g. ``("cifar10",)``."""

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs of the networks for `dataset`; dead ops count."""


@runtime_checkable
class Buildable(Protocol):
    """A space whose architectures become runnable torch modules."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets that the networks are defined for, e.g. ``("cifar10",)``."""

    def example_inputs(self, dataset: str, batch: int = 1) -> tuple[Any, ...]:
        """Return inputs for the networks for `dataset`: random tensors, one for each argument of a module."""

    def build_module(self, architecture: Architecture, dataset: str) -> Any:
        """Return the network for `dataset` as a fresh ``torch.nn.Module``."""
