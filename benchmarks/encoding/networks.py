"""Whole networks for the sections ``round_trip`` and ``families``: built without numbers, kept in a folder.

The folder is that of ``ARCHINDEX_NETWORKS``, or ``archindex-networks`` in the system's folder for temporary
files. Whoever stores graphs there says what they depend on, or checks a few of them whenever they are read.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import archindex
from archindex.core.batch import GraphBatch
from archindex.encoders import ENCODERS, Encoder, make_encoder
from archindex.spaces.registry import space

Built = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]

_READY: Final = ("structural", "universal", "motifs")
_AT_A_TIME: Final = 500
_ARRAYS: Final = ("op", "attrs", "edges", "node_ptr", "edge_ptr")


def folder() -> Path:
    """Return the folder in which graphs are kept; it is made if it is not there."""
    path = Path(os.environ.get("ARCHINDEX_NETWORKS") or Path(tempfile.gettempdir(), "archindex-networks"))
    path.mkdir(parents=True, exist_ok=True)
    return path


@cache
def sources() -> str:
    """Return a hash of the code that reads modules and files, as it was when it was first asked for."""
    digest = hashlib.blake2b(torch.__version__.encode(), digest_size=6)
    for path in sorted(Path(archindex.__file__).parent.joinpath("convert").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kept(
    name: str,
    make: Callable[[], tuple[GraphBatch, Mapping[str, Any]]],
    holds: Callable[[GraphBatch], bool] = lambda _: True,
) -> tuple[GraphBatch, dict[str, Any]]:
    """Return graphs and further numbers from the folder; make them if they are not there or do not hold."""
    path = folder() / f"{name}.npz"
    if path.exists():
        found = _read(path)
        if holds(found[0]):
            return found
    batch, more = make()
    arrays: dict[str, Any] = {key: getattr(batch, key) for key in _ARRAYS}
    arrays |= {"extra_ops": np.array(batch.extra_ops, dtype=str), **more}
    # In another file first: a run that was stopped leaves nothing half written under this name.
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **arrays)
    part.replace(path)
    return _read(path)


def _read(path: Path) -> tuple[GraphBatch, dict[str, Any]]:
    with np.load(path, allow_pickle=False) as stored:
        content = {key: stored[key] for key in stored.files}
    extra = tuple(str(op) for op in content.pop("extra_ops"))
    return GraphBatch(**{key: content.pop(key) for key in _ARRAYS}, extra_ops=extra), content


def encoders() -> dict[str, Encoder]:
    """Return the encoders that are registered and need no fitting."""
    return {name: make_encoder(name) for name in _READY if name in ENCODERS}


def network_vectors(encoder: Encoder, batches: Sequence[GraphBatch]) -> npt.NDArray[np.float64]:
    """Return the vectors of all graphs, some hundreds at a time: networks are large."""
    vectors = [
        encoder.encode(batch.take(first, min(first + _AT_A_TIME, len(batch))))
        for batch in batches
        for first in range(0, len(batch), _AT_A_TIME)
    ]
    return np.concatenate(vectors).astype(np.float64)


def listed_network(entry: Mapping[str, Any]) -> Built:
    """Return module, arguments and keyword arguments of a network of ``families_*.json``, on ``meta``."""
    makers: dict[str, Callable[[Mapping[str, Any]], Built]] = {
        "transformers": _transformer,
        "torch_geometric": _graph_network,
        "convolutions": _convolutions,
        "torch": _recurrent_network,
        "space": _of_space,
    }
    with torch.device("meta"):
        return makers[entry["from"]](entry)


def _transformer(entry: Mapping[str, Any]) -> Built:
    import transformers

    kind = getattr(transformers, entry["class"])
    config = kind.config_class(**entry["options"])
    if hasattr(config, "use_cache"):
        config.use_cache = False
    module = kind(config)
    if kind.main_input_name == "pixel_values":
        side = config.image_size if isinstance(getattr(config, "image_size", None), int) else 224
        return module, (torch.zeros(1, 3, side, side),), {}
    words = torch.zeros(1, 32, dtype=torch.int64)
    if config.is_encoder_decoder:
        return module, (), {"input_ids": words, "decoder_input_ids": words.clone()}
    return module, (words,), {}


def _graph_network(entry: Mapping[str, Any]) -> Built:
    import torch_geometric.nn

    module = getattr(torch_geometric.nn, entry["class"])(in_channels=128, out_channels=40, **entry["options"])
    return module, (torch.zeros(64, 128), torch.zeros(2, 256, dtype=torch.int64)), {}


class _Convolutions(nn.Module):
    def __init__(self, kind: str, hidden_channels: int, num_layers: int) -> None:
        super().__init__()
        import torch_geometric.nn

        widths = [128, *[hidden_channels] * (num_layers - 1), 40]
        convolution = getattr(torch_geometric.nn, kind)
        self.layers = nn.ModuleList(convolution(a, b) for a, b in pairwise(widths))

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(x.relu() if i else x, edge_index)
        return x


def _convolutions(entry: Mapping[str, Any]) -> Built:
    module = _Convolutions(entry["class"], **entry["options"])
    return module, (torch.zeros(64, 128), torch.zeros(2, 256, dtype=torch.int64)), {}


class _LanguageModel(nn.Module):
    def __init__(self, kind: str, hidden_size: int, num_layers: int, words: int = 10_000) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, hidden_size)
        self.layer = getattr(nn, kind)(hidden_size, hidden_size, num_layers)
        self.decoder = nn.Linear(hidden_size, words)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.decoder(self.layer(self.embedding(words))[0])
        return scores


def _recurrent_network(entry: Mapping[str, Any]) -> Built:
    return _LanguageModel(entry["class"], **entry["options"]), (torch.zeros(35, 1, dtype=torch.int64),), {}


def _of_space(entry: Mapping[str, Any]) -> Built:
    here: Any = space(entry["type"].removeprefix("space:"))
    dataset = here.datasets[0]
    return here.build_module(here.parse(entry["native"]), dataset), here.example_inputs(dataset), {}
