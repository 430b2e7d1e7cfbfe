"""Conversions: models of other libraries to networks, and architectures to the formats of other libraries.

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archindex.convert.drawing.dot import to_dot
    from archindex.convert.drawing.svg import to_svg
    from archindex.convert.expand import Expander
    from archindex.convert.network import Network
    from archindex.convert.networkx_graph import from_networkx, to_networkx
    from archindex.convert.onnx_export import to_onnx
    from archindex.convert.onnx_import import from_onnx
    from archindex.convert.pyg import from_pyg, to_pyg
    from archindex.convert.torch_import import from_torch

__all__ = [
    "Expander",
    "Network",
    "from_networkx",
    "from_onnx",
    "from_pyg",
    "from_torch",
    "to_dot",
    "to_networkx",
    "to_onnx",
    "to_pyg",
    "to_svg",
]

_MODULES = {
    "Expander": "expand",
    "Network": "network",
    "from_networkx": "networkx_graph",
    "from_onnx": "onnx_import",
    "from_pyg": "pyg",
    "from_torch": "torch_import",
    "to_dot": "drawing.dot",
    "to_networkx": "networkx_graph",
    "to_onnx": "onnx_export",
    "to_pyg": "pyg",
    "to_svg": "drawing.svg",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'archindex.convert' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"archindex.convert.{_MODULES[name]}"), name)
