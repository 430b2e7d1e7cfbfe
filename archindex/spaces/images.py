"""Spaces whose networks classify images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from archindex.core.checks import check_choice

if TYPE_CHECKING:
    from torch import Tensor


class ImageNetworks:
    """Gives a space its data sets of images; `Buildable` but for ``build_module``.

    Attributes
    ----------
    images : mapping from str to (int, int)
        Classes, and pixels along a side of the square images, of every data set.
    """

    images: ClassVar[Mapping[str, tuple[int, int]]]
    name: Any

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets that the networks are defined for."""
        return tuple(self.images)

    def example_inputs(self, dataset: str, batch: int = 1) -> tuple[Tensor]:
        """Return random images of `dataset`, float (batch, 3, side, side).

        Raises
        ------
        UnknownNameError
            If the networks are not defined for `dataset`.
        """
        import torch

        _, side = self._image(dataset)
        return (torch.randn(batch, 3, side, side),)

    def _image(self, dataset: str) -> tuple[int, int]:
        """Return classes and side of the images of `dataset`."""
        return self.images[check_choice(f"data set of {self.name}", dataset, self.images)]
