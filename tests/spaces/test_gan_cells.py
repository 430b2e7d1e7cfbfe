"""AutoGAN: the conformance suite, the generators of the paper, both networks by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from archindex.core.errors import ArchitectureError, UnknownNameError
from archindex.spaces.gan_cells import CellType, GANCells
from archindex.spaces.gan_cells_module import Cell
from archindex.testing.space_case import SpaceCase

SPACE = GANCells()
AUTOGAN_A = "1 0 1 1 1 0 0 1 1 1 0 1 0 3"  # VITA-Group/AutoGAN, exps/derive.sh


class TestGANCells(SpaceCase):
    space = SPACE
    n_trained = 1  # 256 channels at full size


def test_size() -> None:
    assert SPACE.size == (2 * 3 * 3 * 2) ** 3 * 2 * 4 == 373_248


def test_the_generator_of_the_paper() -> None:
    arch = SPACE.parse(AUTOGAN_A)
    # VITA-Group/AutoGAN, models/autogan_cifar10_a.py
    assert SPACE.cell_types(arch) == [
        CellType("pre", "none", "nearest", True, ()),
        CellType("pre", "none", "bilinear", True, (0,)),
        CellType("pre", "none", "nearest", False, (0, 1)),
    ]
    linear, conv, point = 129 * 16 * 256, 256 * 256 * 9 + 256, 256 * 256 + 256
    to_rgb = 2 * 256 + 256 * 3 * 9 + 3
    assert SPACE.costs([AUTOGAN_A], "cifar10").params[0] == linear + 6 * conv + 5 * point + to_rgb


def test_the_lowest_bit_is_the_cell_before() -> None:
    for bits, skips in enumerate([(), (1,), (0,), (0, 1)]):
        arch = SPACE.parse(f"{AUTOGAN_A[:-1]}{bits}")
        assert SPACE.cell_types(arch)[2].skips == skips


@pytest.mark.parametrize("up", ["bilinear", "nearest", "deconv"])
@pytest.mark.parametrize("conv", ["pre", "post"])
def test_a_cell_by_hand(conv: str, up: str) -> None:
    torch.manual_seed(0)
    cell = Cell(CellType(conv, "batch", up, True, (0,)), 2).eval()
    x, earlier = torch.randn(1, 256, 4, 4), torch.randn(1, 256, 2, 2)
    layers = [m for m in cell.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.ConvTranspose2d))]
    convs = [m for m in layers if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in cell.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    deconvs = iter([m for m in layers if isinstance(m, torch.nn.ConvTranspose2d)])

    def larger(y: torch.Tensor, times: int = 1) -> torch.Tensor:
        if up != "deconv":
            return interpolate(y, scale_factor=2**times, mode=up)
        for _ in range(times):
            y = next(deconvs)(y)
        return y

    pre = conv == "pre"
    first = convs[0](larger(norms[0](x).relu() if pre else x))
    first = (first if pre else norms[0](first).relu()) + convs[2](larger(earlier, 2))
    second = convs[1](norms[1](first).relu() if pre else first)
    second = second if pre else norms[1](second).relu()
    output, handed_on = cell(x, [earlier])
    assert torch.allclose(handed_on, first, atol=1e-5)
    assert torch.allclose(output, second + convs[3](larger(x)), atol=1e-5)


@pytest.mark.parametrize("dataset", SPACE.datasets)
def test_the_discriminator_scores_what_a_generator_makes(dataset: str) -> None:
    torch.manual_seed(0)
    generator = SPACE.build_module(SPACE.parse("0 2 2 0 0 1 2 0 1 0 1 0 0 2"), dataset)
    discriminator = SPACE.build_discriminator(dataset)
    images = generator(*SPACE.example_inputs(dataset, batch=2))
    assert images.shape == (2, 3, *({"cifar10": 32, "stl10": 48}[dataset],) * 2)
    assert images.abs().max() <= 1
    scores = discriminator(images)
    assert scores.shape == (2, 1)
    scores.sum().backward()
    gradient = next(generator.parameters()).grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    with pytest.raises(UnknownNameError):
        SPACE.build_discriminator("no such data set")


@pytest.mark.parametrize(
    "native",
    [
        AUTOGAN_A[:-2],
        f"{AUTOGAN_A} 0",
        f"2{AUTOGAN_A[1:]}",
        f"{AUTOGAN_A[:-1]}4",
        f"{AUTOGAN_A[:-1]}03",
        f"{AUTOGAN_A[:-1]}-1",
        AUTOGAN_A.replace(" ", "  "),
        AUTOGAN_A.replace(" ", ","),
        AUTOGAN_A.replace("3", "\u0663"),
        "",
    ],
)
def test_other_numbers_are_refused(native: str) -> None:
    with pytest.raises(ArchitectureError):
        SPACE.parse(native)
