"""Named models: the zoos timm, torchvision and pytorchcv as spaces.

A name is an architecture, and what was measured under it is known at once. Its graph is known where the
package that builds the model is installed: the model is built, without weights from anywhere, and read by
`archindex.convert.from_torch`. A zoo is a growing list that only its package knows: nothing is listed,
counted, sampled or mutated here.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import arch_ids
from archindex.core.errors import ArchitectureError, DataUnavailableError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor, nn

LONGEST: Final = 80
"""Characters of a name."""


class NamedModels(SearchSpace[str]):
    """Base of the zoos: the native string is the name of a model.

    Whatever needs a graph raises `DataUnavailableError` where the zoo's package is missing: graphs,
    arch_ids, vectors, and so every index. Tables of measurements hold names only and work without it.
    Names of the same network share an arch_id, in different zoos too: pre-trained weights are no part of it.
    """

    package: ClassVar[str]
    pattern: ClassVar[re.Pattern[str]]
    example: ClassVar[str]

    @property
    def name(self) -> str:
        """Name of the package that builds the models."""
        return self.package

    @property
    def size(self) -> None:
        """None: the list grows with every release."""
        return

    def arch_ids(self, natives: Sequence[str]) -> npt.NDArray[np.str_]:
        """Return the arch_id of many models; shape (n,). Whole networks: no zoo is part of it."""
        return arch_ids(self.graphs(natives))

    def build(self, native: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Return a model with random weights, in evaluation mode, and an input for it.

        Parameters
        ----------
        native : str
            Name of the model.

        Raises
        ------
        DataUnavailableError
            If the package is not installed or does not work here, or does not build this model.
        """
        name = self._parse(native)
        if find_spec(self.package) is None:
            raise DataUnavailableError(
                f"expected the Python package {self.package}, which builds {name}",
                fix=f"type: pip install {self.package}",
            )
        try:
            module, shape = self._build(name)
        except (ImportError, RuntimeError, AttributeError) as error:
            # Binary packages that do not fit the torch here fail in any of these ways.
            raise DataUnavailableError(
                f"expected {self.package} to build {name}",
                got=f"{type(error).__name__}: {error}",
                fix=f"type: pip install --upgrade {self.package} torch",
            ) from error
        import torch

        return module.eval(), (torch.zeros(1, *shape),)

    @abstractmethod
    def _build(self, name: str) -> tuple[nn.Module, tuple[int, ...]]:
        """Return the model and the shape of one input."""

    def _parse(self, text: str) -> str:
        if len(text) > LONGEST or not self.pattern.fullmatch(text):
            raise ArchitectureError(
                f"expected the name of a model of {self.package}", got=text, fix=f"for example {self.example}"
            )
        return text

    def _format(self, genotype: str) -> str:
        return genotype

    def _graph(self, genotype: str) -> ArchGraph:
        module, inputs = self.build(genotype)
        from archindex.convert import from_torch

        return from_torch(module, inputs).graph

    def _genotype(self, graph: ArchGraph) -> str:
        raise ArchitectureError(
            f"expected the name of a model of {self.package}: no graph has one",
            got=f"a graph of {graph.n_nodes} nodes",
            fix="look for the nearest in an index",
        )

    def _draw(self, rng: np.random.Generator) -> str:
        self._refuse("sampled")

    def _neighbors(self, genotype: str) -> Iterator[str]:
        self._refuse("mutated")

    def _refuse(self, what: str) -> NoReturn:
        raise ArchitectureError(
            f"expected a space whose architectures can be {what}",
            got=f"{self.package}, a list of named models",
            fix="take names from a table: archindex data ls",
        )

    def _no_builder(self, name: str) -> NoReturn:
        raise DataUnavailableError(
            f"expected a model that the installed {self.package} builds",
            got=name,
            fix=f"type: pip install --upgrade {self.package}",
        )


class Timm(NamedModels):
    """Models of PyTorch Image Models.

    Native string: the model's name, with or without the tag of its weights, e.g. ``resnet50.a1_in1k``. Built
    at the image size of these weights.

    Examples
    --------
    >>> import archindex as ax
    >>> str(ax.space("timm").parse("resnet50.a1_in1k"))
    'timm:resnet50.a1_in1k'
    """

    package = "timm"
    pattern = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*(\.[a-z0-9]+(_[a-z0-9]+)*)?", re.ASCII)
    example = "resnet50.a1_in1k"

    def _build(self, name: str) -> tuple[nn.Module, tuple[int, ...]]:
        timm = import_module("timm")
        if not timm.is_model(name.partition(".")[0]):
            self._no_builder(name)
        module = timm.create_model(name, pretrained=False)
        return module, tuple(module.pretrained_cfg["input_size"])


class Torchvision(NamedModels):
    """Models of torchvision.

    Native string: the model's name, e.g. ``resnet50``. Built for images of 224 x 224; detection, video and
    optical flow models have other inputs, and no graph here.

    Examples
    --------
    >>> import archindex as ax
    >>> str(ax.space("torchvision").parse("efficientnet_b0"))
    'torchvision:efficientnet_b0'
    """

    package = "torchvision"
    pattern = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*", re.ASCII)
    example = "resnet50"

    def _build(self, name: str) -> tuple[nn.Module, tuple[int, ...]]:
        models = import_module("torchvision.models")
        # Only these two families take one batch of images; classification models have no folder of their own.
        if name not in models.list_models(models) + models.list_models(models.segmentation):
            self._no_builder(name)
        backbone = {"weights_backbone": None} if name in models.list_models(models.segmentation) else {}
        side = 299 if name == "inception_v3" else 224
        return models.get_model(name, weights=None, **backbone), (3, side, side)


class Pytorchcv(NamedModels):
    """Models of pytorchcv.

    Native string: the name as the package's tables print it, e.g. ``ResNeXt-50 (32x4d)``. A name that stands
    for networks on several data sets is built for ImageNet if it can be, else for CIFAR-10.

    Examples
    --------
    >>> import archindex as ax
    >>> str(ax.space("pytorchcv").parse("MobileNetV2 x0.25"))
    'pytorchcv:MobileNetV2 x0.25'
    """

    package = "pytorchcv"
    pattern = re.compile(r"[A-Za-z0-9][A-Za-z0-9.@*/=(),-]*( [A-Za-z0-9(][A-Za-z0-9.@*/=(),-]*)*", re.ASCII)
    example = "ResNeXt-50 (32x4d)"

    def _build(self, name: str) -> tuple[nn.Module, tuple[int, ...]]:
        found = pytorchcv_builders().get(_IRREGULAR.get(name) or _key(_as_function(name)))
        if found is None:
            self._no_builder(name)
        module_name, function = found
        module: Any = getattr(import_module(f"pytorchcv.models.{module_name}"), function)()
        return module, (3, *module.in_size)


# How the package's functions write the width of a network.
_WIDTHS: Final = {
    "0.2": "wd5",
    "0.25": "wd4",
    "0.5": "wd2",
    "0.75": "w3d4",
    "1.0": "w1",
    "1.25": "w5d4",
    "1.5": "w3d2",
    "2.0": "w2",
}
_DATASETS: Final = ("", "_cifar10", "_cifar100", "_svhn", "_cub")

Key = tuple[str, tuple[str, ...]]


@cache
def pytorchcv_builders() -> dict[Key, tuple[str, str]]:
    """Return module and function of every model of the installed pytorchcv, by `_key` of its name.

    The sources are read and not imported: the package's own list of models imports all of them, and some
    need further packages.
    """
    spec = find_spec("pytorchcv")
    folders = spec.submodule_search_locations if spec else None
    found: dict[Key, dict[str, tuple[str, str]]] = defaultdict(dict)
    for file in sorted(Path(folders[0], "models").glob("*.py")) if folders else []:
        for function in re.findall(r"^def (\w+)\(", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
            suffix = next(s for s in (*_DATASETS[1:], "") if function.endswith(s))
            if not function.startswith("_") and not function.endswith("_block"):
                found[_key(function.removesuffix(suffix))].setdefault(suffix, (file.stem, function))
    return {key: next(by[s] for s in _DATASETS if s in by) for key, by in found.items()}


def _key(name: str) -> Key:
    """Return letters and numbers of a name, each sorted: functions and tables order the parts differently.

    Cardinality and width of a ResNeXt (``2x32d``) stay one number.
    """
    name = name.lower()
    letters = "".join(sorted(re.sub("[^a-z]", "", name)))
    return letters, tuple(sorted(re.findall(r"\d+x\d+d|\d+", name)))


def _as_function(name: str) -> str:
    """Return a printed name with the parts that its function has: ``1.0-SqNxt-23`` is ``SqNxt-23 w1``."""
    name = re.sub(r"^(\d\.\d+)-(.*)$", r"\2 x\1", name)
    name = re.sub(r" x(\d\.\d+)", lambda found: f" {_WIDTHS.get(found[1], found[0])}", name)
    name = re.sub(r"C=G=(\d)", r"c\1 g\1", name)
    unit = {"M": 0.01, "G": 10.0}
    return re.sub(
        r"^(RegNet[XY])-([\d.]+)([MG])F$",
        lambda found: f"{found[1]}{round(float(found[2]) * unit[found[3]]):03d}",
        name,
    )


_IRREGULAR: Final[dict[str, Key]] = {
    "DiCENet x1.75": _key("dicenet_w7d8"),
    "MobileNetV3 L/224/1.0": _key("mobilenetv3_large_w1"),
    "ProxylessNAS Mob-14": _key("proxylessnas_mobile14"),
    "ResNet(A)-BC-14": _key("resnetabc14b"),
    "VoVNet-27-slim": _key("vovnet27s"),
}
