"""einspace: the grammar, what fits, known networks written in it, and their modules."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archindex.core.canonical import canonical_form
from archindex.core.errors import ArchitectureError
from archindex.spaces.einspace import EinSpace
from archindex.testing.space_case import SpaceCase

SPACE = EinSpace()


def chain(*parts: str) -> str:
    """Return parts one after the other, as a balanced tree."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"sequential({chain(*parts[:half])},{chain(*parts[half:])})"


def conv(kernel: int, width: int, stride: int = 1) -> str:
    return f"unfolding(im2col{kernel}k{stride}s{kernel // 2}p,linear{width},col2im)"


def residual(body: str, shortcut: str = "identity") -> str:
    return f"branching2(clone_tensor2,{body},{shortcut},add_tensors)"


def basic_block(width: int, stride: int = 1) -> str:
    """Two 3x3 convolutions beside a shortcut, as in ResNet-18."""
    body = chain(conv(3, width, stride), "norm", "leakyrelu", conv(3, width), "norm")
    shortcut = "identity" if stride == 1 else chain(conv(1, width, 2), "norm")
    return chain(residual(body, shortcut), "leakyrelu")


def attention(width: int) -> str:
    """One head: softmax(q k^T / sqrt(d)) v."""
    keys = f"routing(identity,linear{width},permute21)"
    scores = f"branching2(clone_tensor2,linear{width},{keys},scaled_dot_product)"
    return f"branching2(clone_tensor2,{chain(scores, 'softmax')},linear{width},dot_product)"


def encoder_block() -> str:
    """A pre-norm transformer block of width 128 with four heads."""
    heads = f"branching4(clone_tensor4,{attention(32)},cat_tensors2d4t)"
    mixing = residual(chain("norm", heads, "linear128"))
    return chain(mixing, residual(chain("norm", "linear512", "leakyrelu", "linear128")))


RESNET = chain(conv(3, 64), "norm", "leakyrelu", basic_block(64), basic_block(128, 2), basic_block(128))
VIT = chain(
    "unfolding(im2col4k4s0p,linear128,identity)",
    "learnable_positional_encoding",
    *[encoder_block()] * 2,
    "norm",
)
MIXER = residual(chain("norm", "routing(permute21,linear64,permute21)", "leakyrelu", "linear128"))
PATCHES = "unfolding(im2col4k4s0p,linear128,identity)"
KNOWN = {"resnet": RESNET, "vit": VIT, "mixer": chain(PATCHES, MIXER)}


class TestEinSpace(SpaceCase):
    space = SPACE
    n_samples = 15  # the largest graphs take seconds to be read back, and are read four times


@pytest.mark.parametrize("name", KNOWN)
def test_known_networks_are_in_the_space(name: str) -> None:
    arch = SPACE.parse(KNOWN[name])
    rng = np.random.default_rng(1)
    shuffled = arch.graph.relabelled([int(v) for v in rng.permutation(arch.graph.n_nodes)])
    assert SPACE.from_graph(shuffled).arch_id == arch.arch_id
    assert SPACE.from_graph(canonical_form(shuffled)).arch_id == arch.arch_id
    scores = SPACE.build_module(arch)(*SPACE.example_inputs(batch=2))
    assert scores.shape == (2, 10)


def test_params_of_the_known_networks_by_hand() -> None:
    params = SPACE.costs([RESNET, VIT], "cifar10").params
    convs = [(3, 64, 3), (64, 64, 3), (64, 64, 3), (64, 128, 3), (128, 128, 3), (64, 128, 1)]
    convs += [(128, 128, 3)] * 2
    expected = sum(c * k * k * n + n for c, n, k in convs)
    expected += 2 * (3 * 64 + 5 * 128) + 128 * 10 + 10
    assert params[0] == expected
    block = 2 * 2 * 128 + 4 * 3 * (128 * 32 + 32) + (128 * 128 + 128) + 2 * 128 * 512 + 512 + 128
    # Mean over the features, a classifier on the 64 rows: that is what the official head does.
    assert params[1] == 48 * 128 + 128 + 64 * 128 + 2 * block + 2 * 128 + 64 * 10 + 10


def backbone(native: str) -> Any:
    torch.manual_seed(0)
    return SPACE.build_module(SPACE.parse(native)).backbone


def test_an_unfolded_linear_layer_is_a_convolution() -> None:
    module = backbone(conv(3, 16, 2))
    linear = next(m for m in module.modules() if isinstance(m, nn.Linear))
    images = torch.randn(2, 3, 32, 32)
    weight = linear.weight.reshape(16, 3, 3, 3)
    expected = nn.functional.conv2d(images, weight, linear.bias, stride=2, padding=1)
    assert torch.allclose(module(images), expected, atol=1e-5)


def test_attention_is_torchs_attention() -> None:
    module = backbone(chain("unfolding(im2col8k8s0p,linear64,identity)", attention(32)))
    images = torch.randn(2, 3, 32, 32)
    rows = module[0](images)
    q, k, v = (m(rows) for m in module[1].modules() if isinstance(m, nn.Linear))
    expected = nn.functional.scaled_dot_product_attention(q, k, v)
    assert torch.allclose(module(images), expected, atol=1e-5)


def test_groups_give_every_branch_its_part() -> None:
    native = "branching4(group_dim4s2d,routing(identity,identity,identity),cat_tensors2d4t)"
    module = backbone(native)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(module(images), images)
    graph = SPACE.parse(native).graph
    assert sorted(a["index"] for a in graph.attrs if "groups" in a) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "native",
    [
        "linear64",  # a computation alone
        "identity",
        "routing(permute21,norm,identity)",  # an image has three dimensions
        "unfolding(im2col3k1s1p,norm,permute132)",  # columns have two
        "routing(identity,norm,col2im)",
        "routing(im2col3k1s1p,norm,col2im)",
        "sequential(unfolding(im2col16k16s0p,norm,col2im),unfolding(im2col3k1s1p,norm,col2im))",  # 2 x 2
        "branching2(group_dim2s1d,norm,norm,add_tensors)",  # three channels
        "branching2(clone_tensor2,linear16,linear32,add_tensors)",
        "branching2(clone_tensor2,linear16,linear32,cat_tensors1d2t)",
        "branching2(clone_tensor2,linear16,norm,dot_product)",
        "branching2(clone_tensor2,unfolding(im2col4k4s0p,norm,identity),norm,cat_tensors1d2t)",
        "branching4(clone_tensor2,norm,add_tensors)",
        "branching4(clone_tensor4,norm,dot_product)",
        # 32 x 2048 x 32 elements
        "sequential(routing(permute213,linear2048,identity),routing(permute321,linear2048,identity))",
    ],
)
def test_what_does_not_fit_is_refused(native: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(native)


def test_copies_of_copies_end_in_an_error() -> None:
    native = "norm"
    for _ in range(60):
        native = f"branching8(clone_tensor8,{native},add_tensors)"
    with pytest.raises(ArchitectureError):
        SPACE.parse(native)


def test_the_longest_row_is_read_back() -> None:
    """A row has many bracketings: they must not all be looked at."""
    native = chain(*["linear64"] * 150)
    assert len(SPACE.parse(native).graph.ops) == 152
    assert SPACE.from_graph(SPACE.parse(native).graph).arch_id == SPACE.parse(native).arch_id
    with pytest.raises(ArchitectureError, match="300 productions"):
        SPACE.parse(f"sequential({native},linear64)")


def test_the_outermost_module_is_no_computation() -> None:
    written = SPACE.parse("sequential(norm,identity)")
    assert SPACE.from_graph(canonical_form(written.graph)).arch_id == written.arch_id
    near = {arch.native for arch in SPACE.neighbors(SPACE.parse("routing(identity,norm,identity)"))}
    assert "routing(permute321,norm,identity)" in near
    assert "sequential(routing(identity,norm,identity),identity)" in near
    assert "norm" not in near
    assert written in SPACE.neighbors(SPACE.parse("sequential(sequential(norm,identity),identity)"))


def test_draws_use_the_whole_grammar() -> None:
    archs = SPACE.sample(400, seed=2)
    words = Counter(word for a in archs for word in a.native.replace("(", ",").replace(")", ",").split(","))
    names = {one.name for listed in SPACE.rules.values() for one in listed}
    assert names - {"dot_product", "scaled_dot_product"} <= set(words)
    # The first module is no computation, the others are one with probability 0.32 or more (what does not
    # fit is drawn anew): every kind of module comes up as often as any other.
    first = Counter(a.native.split("(")[0] for a in archs)
    assert abs(first["sequential"] - 400 / 3) < 5 * (400 / 3 * 2 / 3) ** 0.5
    assert abs(first["routing"] + first["unfolding"] - 400 / 3) < 5 * (400 / 3 * 2 / 3) ** 0.5
