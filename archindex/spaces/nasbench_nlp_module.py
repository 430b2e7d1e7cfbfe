"""NAS-Bench-NLP: the language models (custom_rnn.py and model.py of fmsnew/nas-bench-nlp-release)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from archindex.spaces.nasbench_nlp_recipes import Recipe, in_order, n_hidden

_ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "activation_tanh": torch.tanh,
    "activation_sigm": torch.sigmoid,
    "activation_leaky_relu": nn.functional.leaky_relu,
}


class LanguageModel(nn.Module):
    """Embeddings, layers of one cell, and a decoder that shares its weights with the embeddings.

    The dropouts of the published training are left out.

    Parameters
    ----------
    recipe : tuple of Step
        The cell.
    tokens : int
        Number of words.
    embedding : int
        Size of the embeddings, and of the states of the last layer.
    layers : sequence of (int, int)
        Sizes of the input and of the states of every layer.
    """

    def __init__(
        self, recipe: Recipe, tokens: int, embedding: int, layers: Sequence[tuple[int, int]]
    ) -> None:
        super().__init__()
        self.encoder = nn.Embedding(tokens, embedding)
        self.layers = nn.ModuleList(Cell(recipe, before, units) for before, units in layers)
        self.decoder = nn.Linear(embedding, tokens)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Return scores of the next word, float (steps, batch, words), of token ids, int64 (steps, batch)."""
        values: Tensor = self.encoder(tokens)
        for layer in self.layers:
            states: tuple[Tensor, ...] | None = None
            outputs = []
            for x in values.unbind():
                states = layer(x, states)
                outputs.append(states[0])
            values = torch.stack(outputs)
        scores: Tensor = self.decoder(values)
        return scores


class Cell(nn.Module):
    """One step of a cell.

    Parameters
    ----------
    recipe : tuple of Step
        The cell.
    before, units : int
        Sizes of the input and of the states.
    """

    def __init__(self, recipe: Recipe, before: int, units: int) -> None:
        super().__init__()
        self.steps = in_order(recipe)
        self.hidden, self.units = n_hidden(recipe), units
        self.linear = nn.ModuleDict(
            {
                step.name: MultiLinear([before if s == "x" else units for s in step.inputs], units)
                for step in self.steps
                if step.op == "linear"
            }
        )
        for weights in self.parameters():
            nn.init.uniform_(weights, -1 / math.sqrt(units), 1 / math.sqrt(units))

    def forward(self, x: Tensor, states: tuple[Tensor, ...] | None = None) -> tuple[Tensor, ...]:
        """Return the new states, each float (batch, units); the first is the output.

        Parameters
        ----------
        x : Tensor, float (batch, before)
            Input.
        states : tuple of Tensor, optional
            The old states; zeros at the start.
        """
        if states is None:
            states = (x.new_zeros(len(x), self.units),) * self.hidden
        values = {"x": x, **{f"h_prev_{k}": state for k, state in enumerate(states)}}
        for step in self.steps:
            read = [values[source] for source in step.inputs]
            if step.op == "linear":
                value = self.linear[step.name](*read)
            elif step.op == "blend":
                value = read[0] * read[1] + (1 - read[0]) * read[2]
            elif step.op == "elementwise_prod":
                value = read[0] * read[1]
            elif step.op == "elementwise_sum":
                value = read[0] + read[1]
            else:
                value = _ACTIVATIONS[step.op](read[0])
            values[step.name] = value
        return tuple(values[f"h_new_{k}"] for k in range(self.hidden))


class MultiLinear(nn.Module):
    """The sum of a linear layer for every input, with one bias."""

    def __init__(self, inputs: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, outputs, bias=i == 0) for i, n in enumerate(inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the sum, float (batch, outputs)."""
        parts = [layer(x) for layer, x in zip(self.layers, inputs, strict=True)]
        return torch.stack(parts).sum(dim=0)
