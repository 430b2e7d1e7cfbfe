"""The HyTra space: the authors' count, BossNet-T0 and its published MAdds, one change at a time."""

from __future__ import annotations

import pytest
import torch

from archindex.core.errors import ArchitectureError
from archindex.spaces.hytra import BLOCKS, LAYERS, LENGTHS, HyTra
from archindex.spaces.hytra_module import ImageAttention
from archindex.testing.space_case import SpaceCase

SPACE = HyTra()
BOSSNET_T0 = "5433323000100000"
"""``[[1], [1], [1, 1, 1, 0, 1], [0, 0, 0, 1, 0, 0, 0, 0, 0]]`` by scale, in the authors' boss_models.py."""


class TestHyTra(SpaceCase):
    space = SPACE
    n_samples = 12  # costs build every network, on two data sets


def test_size_is_that_of_the_authors_paths() -> None:
    """Layer by layer: any block first, then the same scale or the next, with the blocks that it has."""
    blocks = [sum(scale == s for s, _ in BLOCKS) for scale in range(4)]
    ending_at = blocks
    for _ in range(LAYERS - 1):
        ending_at = [(ending_at[s] + (ending_at[s - 1] if s else 0)) * blocks[s] for s in range(4)]
    assert SPACE.size == sum(ending_at) == 2_818_103
    assert len(LENGTHS) == 4 + 3 * 15 + 2 * 105 + 455


def test_madds_of_bossnet_t0() -> None:
    """3.4 B by the authors' README, for BossNet-T0 without squeeze-and-excitation."""
    costs = SPACE.costs([BOSSNET_T0], "imagenet")
    assert round(int(costs.flops[0]) / 1e9, 1) == 3.4


def test_neighbours_differ_in_one_layer() -> None:
    for arch in [SPACE.parse(BOSSNET_T0), *SPACE.sample(5, seed=3)]:
        for near in SPACE.neighbors(arch):
            assert sum(a != b for a, b in zip(arch.native, near.native, strict=True)) == 1
    around = {near.native for near in SPACE.neighbors(SPACE.parse(BOSSNET_T0))}
    assert {"4433323000100000", "5433323200100000", "5433323100100000"} <= around
    assert "5433323300100000" not in around  # another scale and another block
    assert "5533323000100000" not in around  # the side would shrink to a quarter


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    layer = ImageAttention(2)
    x = torch.randn(2, 128, 3, 3)
    q, k, v = (part.unflatten(1, (2, 64)).flatten(3).mT for part in layer.qkv(x).chunk(3, dim=1))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v).mT.reshape(x.shape)
    assert torch.allclose(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize("native", ["5" * 16, "0" * 16, "4" * 8 + "3" * 8, BOSSNET_T0])
def test_networks_work_at_the_scales_of_their_layers(native: str) -> None:
    arch = SPACE.parse(native)
    module = SPACE.build_module(arch, "imagenet").eval()
    sides: list[int] = []
    for name, layer in module.named_modules():
        if name.count(".") == 1 and name.startswith("layers.") and hasattr(layer, "branch"):
            layer.register_forward_hook(lambda _, __, output: sides.append(output.shape[-1]))
    with torch.no_grad():
        module(torch.zeros(1, 3, 64, 64))
    assert sides == [16 >> BLOCKS[int(digit)][0] for digit in native]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "16 digits"),
        (BOSSNET_T0[:-1], "16 digits"),
        (BOSSNET_T0.replace("5", "6"), "16 digits"),
        ("²" * 16, "16 digits"),
        ("4533323000100000", "stays or halves"),
        ("5333323000100000", "stays or halves"),
        ("5433320010000002", "stays or halves"),
    ],
)
def test_malformed_strings_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ArchitectureError, match=says):
        SPACE.parse(text)
