"""BlockSequence: spaces whose networks are one layer after the other, each layer with an option taken.

FBNet, MnasNet, Once-for-all and the like fix a skeleton and choose in every place which inverted bottleneck
stands there. Such a space states its layers once; the graph, the torch module and the costs follow.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from archindex.core.build import GraphBuilder
from archindex.spaces.base import Architecture, Costs
from archindex.spaces.choices import ChoiceSpace
from archindex.spaces.images import ImageNetworks

if TYPE_CHECKING:
    from torch import nn


class Layer(NamedTuple):
    """One layer of a network; also a node of its graph.

    Attributes
    ----------
    op : {"conv", "mbconv", "skip", "global_avg_pool"}
        Convolution with batch norm; inverted bottleneck; identity; mean over all pixels.
    before, after : int
        Channels that come in and go out.
    kernel, stride : int
        Of the convolution, in an inverted bottleneck of the depthwise one.
    expansion : int
        Inner channels of an inverted bottleneck over `before`.
    groups : int
        Groups of the 1x1 convolutions of an inverted bottleneck; more than one shuffles the channels.
    squeeze : int
        Channels that squeeze-excite squeezes to; 0: there is none.
    ratio : float
        What the graph shows of squeeze-excite: squeezed channels over those that the ratio is defined on.
    activation, gate : str
        Names in `archindex.spaces.blocks`: activation, and the one that ends squeeze-excite.
    always_expands : bool
        Whether an inverted bottleneck has its first 1x1 convolution with expansion 1, too.
    norm : bool
        Whether batch norm follows a convolution.
    """

    op: str
    before: int
    after: int
    kernel: int = 1
    stride: int = 1
    expansion: int = 1
    groups: int = 1
    squeeze: int = 0
    ratio: float = 0.0
    activation: str = "relu"
    gate: str = "sigmoid"
    always_expands: bool = False
    norm: bool = True

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.op == "mbconv" and self.stride == 1 and self.before == self.after

    @property
    def attrs(self) -> dict[str, float]:
        """Attributes of the node."""
        if self.op in ("skip", "global_avg_pool"):
            return {}
        attrs: dict[str, float] = {"kernel": self.kernel, "stride": self.stride, "channels": self.after}
        if self.op == "mbconv":
            attrs |= {"expansion": self.expansion, "groups": self.groups}
            if self.squeeze:
                attrs["ratio"] = self.ratio
        return attrs


class BlockSequence(ImageNetworks, ChoiceSpace):
    """A space of networks that are sequences of layers.

    A subclass gives what a `ChoiceSpace` asks for, `_build` excepted, and `_layers`. Params are the elements
    of all parameters; FLOPs the multiply-adds of convolutions and of the classifier, squeeze-excite included;
    biases, norms, activations and pooling count nothing. Costs are sums over layers: each kind of layer is
    counted once, on its torch module.

    Attributes
    ----------
    images : mapping from str to (int, int)
        Classes and image side of every data set. The graph is that of the first.
    """

    @abstractmethod
    def _layers(self, taken: Mapping[str, Any], dataset: str) -> Iterator[Layer]:
        """Yield the layers from the image to the classifier, each right after its options were looked up."""

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        x = g.input()
        for layer in self._layers(taken, self.datasets[0]):
            y = g.add(layer.op, x, **layer.attrs)
            x = x + y if layer.residual else y
        g.output(x)

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs of the networks for `dataset`; see the class for what counts.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : str
            One of `datasets`.

        Raises
        ------
        UnknownNameError
            If the networks are not defined for `dataset`.
        """
        classes, image_side = self._image(dataset)
        counted: list[tuple[int, int]] = []
        for native in natives:
            params = flops = 0
            side, last = image_side, 0
            for layer in self._layers(self._values(self._parse(native)), dataset):
                of_layer = _layer_costs(layer, side)
                params += of_layer[0]
                flops += of_layer[1]
                side = 1 if layer.op == "global_avg_pool" else -(-side // layer.stride)
                last = layer.after
            counted.append((params + (last + 1) * classes, flops + last * classes))
        return Costs.of(counted)

    def build_module(self, architecture: Architecture, dataset: str) -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.blocks import sequence

        classes, _ = self._image(dataset)
        return sequence(self._layers(self.taken(architecture), dataset), classes)


@cache
def _layer_costs(layer: Layer, side: int) -> tuple[int, int]:
    """Return params and FLOPs of a layer that reads ``side x side`` pixels."""
    import torch

    from archindex.spaces.blocks import module_of
    from archindex.spaces.counting import module_costs

    with torch.device("meta"):
        return module_costs(module_of(layer), (torch.empty(1, layer.before, side, side),))
