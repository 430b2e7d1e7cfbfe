"""HW-NAS-Bench on FBNet: latency and energy of networks on five devices, from the official pickle.

The part ``fbnet`` holds no networks but a look-up table of layers for each metric; a network costs the sum of
its layers (``fbnet_get_metrics`` in the authors' API, see `archindex.datasets.official.hw_nas_bench`). As
there are 9^22 networks, the data set holds a seeded uniform sample with its sums.

A key of a look-up table names a layer with its input: ``ConvNorm`` (stem and header), ``ConvBlock`` or
``Skip`` (22 blocks), ``AvgP``, ``FC``. The stem has 16 channels, the seven stages 16 to 352, the header 1504
for CIFAR-100 and 1984 for ImageNet; the first block of a stage changes channels and resolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from archindex.core.metrics import MeasurementSpec, Series
from archindex.core.rng import generator
from archindex.datasets.known import DatasetSpec
from archindex.datasets.official.hw_nas_bench import (
    CITATION,
    FILE,
    HOMEPAGE,
    LICENCE,
    METRICS,
    read_part,
    spec_of,
)
from archindex.datasets.official.reading import checked, number, reading
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical

SPACE: Final = "fbnet"
ROWS: Final = 10_000
BLOCKS: Final = 22
KEYS: Final = tuple(key for key in METRICS if not key.startswith("edgetpu"))

# Expansion, kernel and groups of the choices 0 to 7; 8 is the skip.
CONVS: Final = ((1, 3, 1), (1, 3, 2), (3, 3, 1), (6, 3, 1), (1, 5, 1), (1, 5, 2), (3, 5, 1), (6, 5, 1))
SKIP: Final = len(CONVS)

STEM: Final = 16
LAYERS: Final = (1, 4, 4, 4, 4, 4, 1)
CHANNELS: Final = (16, 24, 32, 64, 112, 184, 352)


class Skeleton(NamedTuple):
    """What a data set fixes about the networks.

    Attributes
    ----------
    suffix : str
        What the columns call the data set; CIFAR-100 has the short names.
    side : int
        Pixels of an image's side.
    stem_stride : int
        Stride of the stem.
    strides : tuple of int
        Stride of each stage.
    header : int
        Channels of the header.
    classes : int
        Classes.
    """

    suffix: str
    side: int
    stem_stride: int
    strides: tuple[int, ...]
    header: int
    classes: int


SKELETONS: Final = (
    Skeleton("", 32, 1, (1, 1, 2, 2, 1, 2, 1), 1504, 100),
    Skeleton("imagenet", 224, 2, (1, 2, 2, 2, 1, 2, 1), 1984, 1000),
)
"""CIFAR-100 and ImageNet."""

SPEC: Final = DatasetSpec(
    name="hw_nas_bench_fbnet",
    space=SPACE,
    rows=ROWS,
    exact=True,
    measures="latency on 5 devices and energy on 3, each with 2 input sizes",
    description=(
        f"latency of {ROWS:,} FBNet networks, drawn uniformly, on an edge GPU, Raspberry Pi 4, Pixel 3, "
        "Eyeriss and an FPGA, and energy on three of them, as sums over layers; for the networks of "
        "CIFAR-100 (columns without a data set) and ImageNet"
    ),
    licence=LICENCE,
    citation=CITATION,
    homepage=HOMEPAGE,
    files=(FILE,),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official file measured, without reading it."""
    return tuple(spec_of(key, skeleton.suffix, "summed") for skeleton in SKELETONS for key in KEYS)


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official file: sampled networks with sums of its look-up tables.

    Raises
    ------
    UnsafeDataError
        If the pickle names anything but data; nothing of it is run.
    DataUnavailableError
        If it is damaged or of another format, or lacks a layer.
    """
    path = paths[FILE.name]
    choices = generator(0, SPEC.name).integers(0, SKIP + 1, size=(ROWS, BLOCKS))
    series: list[Series] = []
    with reading(path, "the FBNet part of HW-NAS-Bench"):
        part = read_part(path, "fbnet")
        for skeleton in SKELETONS:
            for key in KEYS:
                values = sums(part[key], skeleton, choices)
                series.append(checked(path, spec_of(key, skeleton.suffix, "summed"), values))
    natives = canonical(SPACE, ["_".join(map(str, row)) for row in choices.tolist()])
    return SPEC.table(natives, series)


def sums(
    costs: Mapping[str, Any], skeleton: Skeleton, choices: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.float64]:
    """Return the cost of networks as the sum of their layers.

    Parameters
    ----------
    costs : mapping from str to number
        A look-up table.
    skeleton : Skeleton
        What the data set fixes.
    choices : ndarray of int, shape (n, 22)
        Choice of each block, 0 to 8.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    total = np.full(len(choices), sum(number(costs[key]) for key in fixed_layers(skeleton)))
    for block, keys in enumerate(block_layers(skeleton)):
        total += np.array([number(costs[key]) for key in keys])[choices[:, block]]
    return total


def fixed_layers(skeleton: Skeleton) -> tuple[str, ...]:
    """Return the keys of the layers that all networks have: stem, header, pooling, classifier."""
    last = skeleton.side // skeleton.stem_stride
    for stride in skeleton.strides:
        last //= stride
    side, header = skeleton.side, skeleton.header
    return (
        f"ConvNorm_H{side}_W{side}_Cin3_Cout{STEM}_kernel3_stride{skeleton.stem_stride}_group1",
        f"ConvNorm_H{last}_W{last}_Cin{CHANNELS[-1]}_Cout{header}_kernel1_stride1_group1",
        f"AvgP_H{last}_W{last}_Cin{header}_Cout{header}_kernel{last}_stride1",
        f"FC_Cin{header}_Cout{skeleton.classes}",
    )


def block_layers(skeleton: Skeleton) -> Iterator[Sequence[str]]:
    """Yield for each block the keys of its nine choices."""
    side, before = skeleton.side // skeleton.stem_stride, STEM
    for layers, channels, first_stride in zip(LAYERS, CHANNELS, skeleton.strides, strict=True):
        for layer in range(layers):
            stride = first_stride if layer == 0 else 1
            size = f"H{side}_W{side}_Cin{before}_Cout{channels}"
            yield [
                *(f"ConvBlock_{size}_exp{e}_kernel{k}_stride{stride}_group{g}" for e, k, g in CONVS),
                f"Skip_{size}_stride{stride}",
            ]
            side, before = side // stride, channels
