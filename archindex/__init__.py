"""archindex: a search engine for neural architectures.

>>> import archindex as ax
>>> ax.space("nasbench201").size
15625

Importing this package loads no engine, no database and no deep learning framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archindex.api import Index, build, merge
    from archindex.api import open_index as open
    from archindex.convert.onnx_import import from_onnx
    from archindex.convert.torch_import import from_torch
    from archindex.spaces.registry import space

    __version__: str

__all__ = ["Index", "__version__", "build", "from_onnx", "from_torch", "merge", "open", "space"]

_EXPORTS = {
    "Index": ("archindex.api", "Index"),
    "build": ("archindex.api", "build"),
    "from_onnx": ("archindex.convert.onnx_import", "from_onnx"),
    "from_torch": ("archindex.convert.torch_import", "from_torch"),
    "merge": ("archindex.api", "merge"),
    "open": ("archindex.api", "open_index"),
    "space": ("archindex.spaces.registry", "space"),
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("archindex")
    if name not in _EXPORTS:
        raise AttributeError(f"module 'archindex' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _EXPORTS[name]
    return getattr(import_module(module), attribute)
