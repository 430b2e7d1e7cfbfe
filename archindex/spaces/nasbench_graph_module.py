"""The networks of NAS-Bench-Graph in torch.

Qin et al., "NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search", NeurIPS 2022. The authors' class
Net, which their package leaves out: batch norm and ReLU before every layer that does not read the input, ReLU
and a linear layer behind the concatenation of what no layer reads; attention with 4 heads of a quarter of the
width, Chebyshev polynomials of degree 1, one ARMA stack. Their dropout, which differs between the data sets
and is not published, is left out.

The layers are those of torch_geometric; what they compute from the edges alone (self-loops, weights by
degree) is computed here once for all of them, without asking for numbers, so that shapes are enough.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

with warnings.catch_warnings():
    # torch_geometric compiles a class with torch.jit.script when it is imported; torch calls that outdated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.nn import ARMAConv, ChebConv, GATConv, GCNConv, GINConv, GraphConv, SAGEConv


class Network(nn.Module):
    """Four layers in a tree, and a linear layer behind what no layer reads.

    Parameters
    ----------
    links : sequence of int
        Of each layer: the layer that it reads, 1 to 4, or 0 for the input.
    ops : sequence of str
        Op of each layer.
    bits : sequence of int or None
        Bit width of each layer's weights; None: full precision.
    features, classes : int
        Numbers of a node that come in and go out.
    width : int
        Width of the layers.
    before, behind : bool
        Whether a linear layer stands before the first layers, and a further one behind the last.
    """

    def __init__(
        self,
        links: Sequence[int],
        ops: Sequence[str],
        bits: Sequence[int | None],
        *,
        features: int,
        classes: int,
        width: int,
        before: bool,
        behind: bool,
    ) -> None:
        super().__init__()
        self.links = tuple(links)
        self.before = nn.Linear(features, width) if before else None
        self.is_input = [True]
        self.layers = nn.ModuleList()
        # The authors' has one for every layer, used or not, and counts it among the params.
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in links)
        for link, op, width_in_bits in zip(links, ops, bits, strict=True):
            layer = Layer(op, features if self.is_input[link] and not before else width, width)
            if width_in_bits is not None:
                quantise(layer, width_in_bits)
            self.layers.append(layer)
            self.is_input.append(self.is_input[link] and op == "skip")
        self.ends = [i for i in range(1, 5) if i not in links and not self.is_input[i]]
        middle = width if behind else classes
        self.mix = nn.Linear(len(self.ends) * width, middle)
        self.behind = nn.Linear(middle, classes) if behind else None

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Return scores of the nodes.

        Parameters
        ----------
        x : Tensor
            Features, float (nodes, features).
        edge_index : Tensor
            Source and target of every edge, int64 (2, edges), none from a node to itself.

        Returns
        -------
        Tensor
            Float (nodes, classes).
        """
        if self.before is not None:
            x = self.before(x)
        edges = Edges(edge_index, len(x), x.dtype)
        values = [x]
        for i, (link, layer) in enumerate(zip(self.links, self.layers, strict=True)):
            read = values[link]
            # With a linear layer before, the authors norm what the first layers read, too.
            if self.before is not None or not self.is_input[link]:
                read = self.norms[i](read).relu()
            values.append(layer(read, edges))
        scores: Tensor = self.mix(torch.cat([values[i] for i in self.ends], dim=1).relu())
        return scores if self.behind is None else self.behind(scores)


class Edges:
    """The edges of a graph, with the weights that some layers give them.

    Parameters
    ----------
    index : Tensor
        Source and target of every edge, int64 (2, edges), none from a node to itself.
    n : int
        Number of nodes.
    dtype : torch.dtype
        Type of the weights.
    """

    def __init__(self, index: Tensor, n: int, dtype: torch.dtype) -> None:
        self.index = index
        loops = torch.arange(n, device=index.device).expand(2, n)
        self.with_loops = torch.cat([index, loops], dim=1)
        self.weights = _by_degree(index, n, dtype)
        self.weights_with_loops = _by_degree(self.with_loops.flip(0), n, dtype)


class Layer(nn.Module):
    """One op of the benchmark.

    Parameters
    ----------
    op : str
        Its name there.
    before, after : int
        Width of what it reads and, but for ``skip``, of what it gives.
    """

    def __init__(self, op: str, before: int, after: int) -> None:
        super().__init__()
        self.op = op
        self.conv = _conv(op, before, after)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """Return float (nodes, after)."""
        further: tuple[Tensor, ...] = (edges.index,)
        if self.op in ("fc", "skip"):
            further = ()
        elif self.op == "gat":
            further = (edges.with_loops,)
        elif self.op == "gcn":
            further = (edges.with_loops, edges.weights_with_loops)
        elif self.op == "cheb":
            further = (edges.index, edges.weights)
        result: Tensor = self.conv(x, *further)
        return result


class Chebyshev(ChebConv):  # type: ignore[misc]
    """ChebConv of degree 1 that is handed the weights of the normalised adjacency matrix."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, K=2)
        self.bias = nn.Parameter(torch.zeros(after))  # torch_geometric's is always on the CPU

    def __norm__(
        self, edge_index: Tensor, num_nodes: int | None, edge_weight: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Return the edges of the scaled Laplacian, whose largest eigenvalue is taken to be 2."""
        return edge_index, -edge_weight


class Rounded(nn.Module):
    """Rounds weights to a grid of ``2**bits - 1`` numbers around zero; the gradient passes as if it did not.

    Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.

    Parameters
    ----------
    bits : int
        Bit width, at least 2.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.steps = 2 ** (bits - 1) - 1

    def forward(self, weights: Tensor) -> Tensor:
        """Return a tensor of the shape of `weights`."""
        step = weights.detach().abs().amax().clamp(min=1e-12) / self.steps
        rounded: Tensor = weights + ((weights / step).round() * step - weights).detach()
        return rounded


def quantise(layer: nn.Module, bits: int) -> None:
    """Have the weight matrices of `layer`, not its vectors, rounded to `bits` bits whenever they are used."""
    for module in list(layer.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.dim() > 1 and not name.startswith("att_"):
                parametrize.register_parametrization(module, name, Rounded(bits))


def _by_degree(index: Tensor, n: int, dtype: torch.dtype) -> Tensor:
    """Return one over the root of the degrees of both ends of every edge; a degree counts the first ends."""
    ones = torch.ones(index.shape[1], dtype=dtype, device=index.device)
    degree = torch.zeros(n, dtype=dtype, device=index.device).scatter_add(0, index[0], ones)
    scale = degree.clamp(min=1).rsqrt()
    return scale[index[0]] * scale[index[1]]


def _conv(op: str, before: int, after: int) -> nn.Module:
    match op:
        case "gat":
            made: nn.Module = GATConv(before, after // 4, heads=4, add_self_loops=False)
        case "gcn":
            made = GCNConv(before, after, add_self_loops=False, normalize=False)
        case "gin":
            made = GINConv(nn.Linear(before, after))
        case "cheb":
            made = Chebyshev(before, after)
        case "sage":
            made = SAGEConv(before, after)
        case "arma":
            made = ARMAConv(before, after)
        case "graph":
            made = GraphConv(before, after)
        case "fc":
            made = nn.Linear(before, after)
        case _:
            made = nn.Identity()
    return made
