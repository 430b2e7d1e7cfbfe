"""NAS-Bench-NLP: recurrent cells for language models.

Klyuchnikov et al., "NAS-Bench-NLP: Neural Architecture Search Benchmark for Natural Language Processing",
IEEE Access 2022. Cells, model and settings follow fmsnew/nas-bench-nlp-release (custom_rnn.py, model.py,
main_one_model_train.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from archindex.core.batch import GraphBatch
from archindex.core.build import GraphBuilder, Terms
from archindex.core.canonical import reduce_batch
from archindex.core.checks import check_choice
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces import nasbench_nlp_recipes as recipes
from archindex.spaces.base import Architecture, Costs, SearchSpace
from archindex.spaces.nasbench_nlp_recipes import Recipe, Step
from archindex.spaces.natives import read_json

if TYPE_CHECKING:
    from torch import Tensor, nn

TOKENS: Final = {"ptb": 10_000, "wikitext2": 33_278}
"""Words of every data set."""

EMBEDDING: Final = 400
LAYERS: Final = ((400, 600), (600, 600), (600, 400))
"""Sizes of the input and of the states of every layer."""

STEPS: Final = 70
"""Tokens of a sequence."""

_EXAMPLE: Final = (
    '{"node_0": {"op": "linear", "input": ["x", "h_prev_0"]}, '
    '"h_new_0": {"op": "activation_tanh", "input": ["node_0"]}}'
)
_OPS: Final = {
    "linear": "linear",
    "blend": "blend",
    "elementwise_prod": "mul",
    "elementwise_sum": "add",
    "activation_tanh": "tanh",
    "activation_sigm": "sigmoid",
    "activation_leaky_relu": "leaky_relu",
}
_NATIVE_OPS: Final = {op: native for native, op in _OPS.items()}


class NASBenchNLP(SearchSpace[Recipe]):
    """The NAS-Bench-NLP space of recurrent cells.

    Native string: the recipe in JSON as released, ``{NODE: {"op": OP, "input": [SOURCE, ...]}, ...}``.
    Sources are ``x``, the old states ``h_prev_k``, and nodes; the nodes ``h_new_k`` are the new states,
    ``h_new_0`` the output. The names of other nodes and the order of nodes are kept as written and say
    nothing.

    Ops: ``linear`` of two or three inputs, each with a weight matrix of its own; ``elementwise_prod`` and
    ``elementwise_sum`` of two; ``blend(a, b, c)``, which is a * b + (1 - a) * c; three activations. A recipe
    has at most 25 nodes and three states, no cycle, and nothing that is not needed; every input is read, x
    by linear nodes only, and no node reads an input twice. That holds for all of the released recipes. The
    generator refuses new states that read old ones directly; its own GRU has one, so that they are in the
    space. States start at zero, and some cells stay there (a new state that is a product with its old one).

    Draws are the official generator's (see `archindex.spaces.nasbench_nlp_recipes.draw`) and not uniform;
    how many recipes there are is not known. Draws, changed recipes and graphs read back are named anew, by
    structure; so a recipe with other names is a neighbour of its neighbours under its new names.

    In the graph the inputs of linear, product and sum come in at one port, in no order; input 0 is x, input
    k + 1 the old state k, output k the new state k.

    Params: the language model as published, three layers of 600, 600 and 400 units on embeddings of 400,
    tied to the decoder. FLOPs: multiply-adds of all matrix products for a sequence of 70 tokens, the
    decoder's too.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("nasbench_nlp")
    >>> arch = space.parse('{"f": {"op": "linear", "input": ["x", "h_prev_0"]},'
    ...                    ' "h_new_0": {"op": "activation_tanh", "input": ["f"]}}')
    >>> int(space.costs([arch.native], "wikitext2").params[0])
    15066078
    """

    datasets: tuple[str, ...] = tuple(TOKENS)

    @property
    def name(self) -> str:
        """``"nasbench_nlp"``."""
        return "nasbench_nlp"

    @property
    def size(self) -> None:
        """Not known."""

    def _parse(self, text: str) -> Recipe:
        read = read_json(text, _EXAMPLE)
        if not isinstance(read, dict):
            raise ArchitectureError("expected a JSON object of nodes", got=text, fix=f"as in {_EXAMPLE}")
        steps = []
        for name, node in read.items():
            if not isinstance(node, dict) or set(node) != {"op", "input"}:
                raise ArchitectureError(f'expected {{"op": ..., "input": [...]}} at {name}', got=node)
            op, inputs = node["op"], node["input"]
            if not isinstance(op, str) or not isinstance(inputs, list):
                raise ArchitectureError(f"expected an op and a list of inputs at {name}", got=node)
            if not all(isinstance(source, str) for source in inputs):
                raise ArchitectureError(f"expected names as inputs of {name}", got=inputs)
            steps.append(Step(name, op, tuple(inputs)))
        return self._checked(tuple(steps), text)

    def _checked(self, recipe: Recipe, got: object) -> Recipe:
        wrong = recipes.fault(recipe)
        if wrong:
            raise ArchitectureError(f"expected a NAS-Bench-NLP recipe, but {wrong}", got=got)
        return recipe

    def _format(self, genotype: Recipe) -> str:
        return json.dumps({s.name: {"op": s.op, "input": list(s.inputs)} for s in genotype})

    def _graph(self, genotype: Recipe) -> ArchGraph:
        g = GraphBuilder()
        hidden = recipes.n_hidden(genotype)
        values = {"x": g.input(index=0)}
        values.update({f"h_prev_{k}": g.input(index=k + 1) for k in range(hidden)})
        for step in recipes.in_order(genotype):
            ports = [values[source] for source in step.inputs]
            summed: Terms = sum(ports, ())
            values[step.name] = g.add(_OPS[step.op], *(ports if step.op == "blend" else [summed]))
        for k in range(hidden):
            g.output(values[f"h_new_{k}"], index=k)
        return g.graph()

    def _genotype(self, graph: ArchGraph) -> Recipe:
        reduced = reduce_batch(GraphBatch.from_graphs([graph])).graph(0)
        refused = ArchitectureError(
            "expected the graph of a NAS-Bench-NLP cell", got=f"{graph.n_nodes} nodes {graph.ops[:30]}"
        )
        if reduced.n_nodes > recipes.MAX_NODES + 2 * recipes.MAX_HIDDEN + 1:
            raise refused
        names: dict[int, str] = {}
        for node, (op, attrs) in enumerate(zip(reduced.ops, reduced.attrs, strict=True)):
            if op in ("input", "output"):
                if set(attrs) != {"index"} or attrs["index"] not in range(recipes.MAX_HIDDEN + 1):
                    raise refused
                index = int(attrs["index"])
            if op == "input":
                names[node] = "x" if index == 0 else f"h_prev_{index - 1}"
            elif op == "output":
                read = reduced.predecessors(node)
                if len(read) != 1 or read[0][1] or reduced.ops[read[0][0]] == "input" or read[0][0] in names:
                    raise refused
                names[read[0][0]] = f"h_new_{index}"
            elif op not in _NATIVE_OPS or attrs:
                raise refused
        ends = sum(op in ("input", "output") for op in reduced.ops)
        if len(set(names.values())) != ends or ends != 2 * reduced.ops.count("output") + 1:
            raise refused
        nodes = {}
        for node, op in enumerate(reduced.ops):
            if op in ("input", "output"):
                continue
            into = reduced.predecessors(node)
            if [port for _, port in into] != (list(range(len(into))) if op == "blend" else [0] * len(into)):
                raise refused
            inputs = tuple(names.get(source, f"node_{source}") for source, _ in into)
            nodes[names.get(node, f"node_{node}")] = _NATIVE_OPS[op], inputs
        recipe = recipes.renamed(nodes)
        if recipe is None or len(recipe) != len(nodes):
            raise refused
        return self._checked(recipe, f"{graph.n_nodes} nodes {graph.ops[:30]}")

    def _draw(self, rng: np.random.Generator) -> Recipe:
        return recipes.draw(rng)

    def _neighbors(self, genotype: Recipe) -> Iterator[Recipe]:
        changed = dict.fromkeys(recipes.neighbors(genotype))
        changed.pop(genotype, None)
        return iter(changed)

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs of the language models for `dataset`.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : {"ptb", "wikitext2"}
            Fixes the number of words.
        """
        tokens = TOKENS[check_choice("data set of nasbench_nlp", dataset, TOKENS)]
        counted = []
        for native in natives:
            linear = [step for step in self._parse(native) if step.op == "linear"]
            sources = [source for step in linear for source in step.inputs]
            from_x = sources.count("x")
            weights = sum(
                units * (before * from_x + units * (len(sources) - from_x)) for before, units in LAYERS
            )
            biases = len(linear) * sum(units for _, units in LAYERS)
            decoder = EMBEDDING * tokens
            counted.append((weights + biases + decoder + tokens, STEPS * (weights + decoder)))
        params, flops = np.array(counted, dtype=np.int64).reshape(-1, 2).T
        return Costs(params.copy(), flops.copy())

    def example_inputs(self, dataset: str = "ptb", batch: int = 1) -> tuple[Tensor]:
        """Return random token ids, int64 (70, batch)."""
        import torch

        tokens = TOKENS[check_choice("data set of nasbench_nlp", dataset, TOKENS)]
        return (torch.randint(tokens, (STEPS, batch)),)

    def build_module(self, architecture: Architecture, dataset: str = "ptb") -> nn.Module:
        """Return the language model; scores of the next word, float (steps, batch, words)."""
        from archindex.spaces.nasbench_nlp_module import LanguageModel

        tokens = TOKENS[check_choice("data set of nasbench_nlp", dataset, TOKENS)]
        return LanguageModel(self._parse(self._own(architecture).native), tokens, EMBEDDING, LAYERS)
