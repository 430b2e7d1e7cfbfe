"""HW-NAS-Bench files that the tests write in the official form: a dict of two parts, pickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError, UnsafeDataError
from archindex.datasets import Table
from archindex.datasets.folder import data_folder
from archindex.datasets.official import hw_nas_bench_fbnet as fbnet
from archindex.datasets.official import hw_nas_bench_nasbench201 as nb201
from archindex.datasets.parquet import read_parquet
from archindex.spaces.nasbench201 import NASBench201

FILE = "HW-NAS-Bench-v1_0.pickle"
KEYS = [
    "edgegpu_latency",
    "edgegpu_energy",
    "raspi4_latency",
    "edgetpu_latency",
    "pixel3_latency",
    "eyeriss_latency",
    "eyeriss_energy",
    "eyeriss_arithmetic_intensity",
    "fpga_latency",
    "fpga_energy",
]
NATIVES = [a.native for a in NASBench201().sample(20, seed=1)]

# What query_by_index(0, "cifar10") prints in the authors' README, for the architecture of number 0.
README = {
    "edgegpu_latency": 5.807418537139893,
    "edgegpu_energy": 24.226614330768584,
    "raspi4_latency": 10.481976820010459,
    "edgetpu_latency": 0.9571811309997429,
    "pixel3_latency": 3.6058499999999998,
    "eyeriss_latency": 3.645620000000001,
    "eyeriss_energy": 0.6872827644999999,
    "fpga_latency": 2.57296,
    "fpga_energy": 18.01072,
}
NUMBER_0 = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


def nasbench201_part(form: Any = list) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    natives = [NUMBER_0, *NATIVES]
    part: dict[str, Any] = {}
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        part[dataset] = {key: form(rng.uniform(0.1, 50, len(natives))) for key in KEYS}
        part[dataset]["config"] = [
            {"name": "infer.tiny", "C": 16, "N": 5, "arch_str": native, "num_classes": 10}
            for native in natives
        ]
    for key, value in README.items():
        part["cifar10"][key][0] = value
    return part


def costs(of_key: Any) -> dict[str, float]:
    """A look-up table with all layers of both skeletons."""
    keys: dict[str, None] = {}
    for skeleton in fbnet.SKELETONS:
        keys |= dict.fromkeys(fbnet.fixed_layers(skeleton))
        for choices in fbnet.block_layers(skeleton):
            keys |= dict.fromkeys(choices)
    return {key: of_key(key) for key in keys}


def fbnet_part() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {key: costs(lambda _: float(rng.uniform(0.01, 2))) for key in KEYS if "tpu" not in key}


def write(path: Path, content: Any, protocol: int = 4) -> dict[str, Path]:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return {FILE: path}


@pytest.mark.parametrize("form", [list, np.asarray], ids=["lists", "arrays"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_nasbench201_is_read_value_by_value(
    tmp_path: Path, form: Any, protocol: int, as_promised: Callable[..., Any]
) -> None:
    part = nasbench201_part(form)
    table = nb201.convert(write(tmp_path / FILE, {"nasbench201": part, "fbnet": {}}, protocol))
    as_promised(table.name, table.series)
    assert table.natives == (NUMBER_0, *NATIVES)
    columns = table.columns()
    assert len(columns) == 3 * (len(KEYS) - 1)
    for dataset, suffix in (("cifar10", ""), ("cifar100", "_cifar100"), ("ImageNet16-120", "_in16_120")):
        for key in KEYS:
            if "intensity" in key:
                continue
            device, metric = key.split("_")
            one = columns[f"{device}{suffix}_{metric}_{'ms' if metric == 'latency' else 'mj'}"]
            np.testing.assert_array_equal(one.values, np.asarray(part[dataset][key]))
            assert one.spec.provenance == ("summed" if device in ("eyeriss", "fpga") else "measured")
    for key, value in README.items():
        device, metric = key.split("_")
        assert columns[f"{device}_{metric}_{'ms' if metric == 'latency' else 'mj'}"].values[0] == value


def test_fbnet_networks_cost_the_sum_of_their_layers(tmp_path: Path, as_promised: Callable[..., Any]) -> None:
    part = fbnet_part()
    table = fbnet.convert(write(tmp_path / FILE, {"nasbench201": {}, "fbnet": part}))
    as_promised(table.name, table.series)
    assert len(table) == fbnet.ROWS
    assert fbnet.convert({FILE: tmp_path / FILE}).natives == table.natives
    columns = table.columns()
    for row in (0, 17, 9_999):
        choices = [int(digit) for digit in table.natives[row].split("_")]
        for dataset, suffix in (("cifar100", ""), ("ImageNet", "_imagenet")):
            expected = network_cost(choices, dataset, part["pixel3_latency"])
            got = columns[f"pixel3{suffix}_latency_ms"].values[row]
            assert got == pytest.approx(expected, rel=1e-12)
    assert columns["fpga_energy_mj"].spec.provenance == "summed"


def network_cost(choices: list[int], dataset: str, table: Mapping[str, float]) -> float:
    """One network, layer by layer, from the description of the skeleton."""
    side, stride = (32, 1) if dataset == "cifar100" else (224, 2)
    header, classes = (1504, 100) if dataset == "cifar100" else (1984, 1000)
    total = table[f"ConvNorm_H{side}_W{side}_Cin3_Cout16_kernel3_stride{stride}_group1"]
    side //= stride
    before, block = 16, 0
    strides = (1, 1, 2, 2, 1, 2, 1) if dataset == "cifar100" else (1, 2, 2, 2, 1, 2, 1)
    for stage, (blocks, channels) in enumerate(
        zip((1, 4, 4, 4, 4, 4, 1), (16, 24, 32, 64, 112, 184, 352), strict=True)
    ):
        for i in range(blocks):
            step = strides[stage] if i == 0 else 1
            shape = f"H{side}_W{side}_Cin{before}_Cout{channels}"
            choice = choices[block]
            if choice == 8:
                total += table[f"Skip_{shape}_stride{step}"]
            else:
                kernel = 3 if choice < 4 else 5
                expansion, group = ((1, 1), (1, 2), (3, 1), (6, 1))[choice % 4]
                total += table[f"ConvBlock_{shape}_exp{expansion}_kernel{kernel}_stride{step}_group{group}"]
            side, before, block = side // step, channels, block + 1
    total += table[f"ConvNorm_H{side}_W{side}_Cin352_Cout{header}_kernel1_stride1_group1"]
    total += table[f"AvgP_H{side}_W{side}_Cin{header}_Cout{header}_kernel{side}_stride1"]
    return total + table[f"FC_Cin{header}_Cout{classes}"]


@pytest.mark.skipif(data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables")
@pytest.mark.parametrize("device", ["eyeriss", "fpga", "pixel3", "raspi4"])
def test_published_fbnet_latencies_are_sums_over_the_layers_of_the_keys(device: str) -> None:
    """5,000 networks of another source: there are layer costs, with these keys, that give all of them."""
    folder = data_folder()
    assert folder is not None
    read = read_parquet(folder / "fbnet5000_help_latency.parquet", ["arch", f"{device}_latency_ms"])
    choices = np.array([[int(c) for c in arch.split("_")] for arch in read["arch"]])
    published = read[f"{device}_latency_ms"].astype(np.float64)
    keys = list(dict.fromkeys(key for of in fbnet.block_layers(fbnet.SKELETONS[0]) for key in of))
    uses = np.zeros((len(choices), len(keys) + 1))
    uses[:, -1] = 1
    for block, of in enumerate(fbnet.block_layers(fbnet.SKELETONS[0])):
        at = np.array([keys.index(key) for key in of])[choices[:, block]]
        uses[np.arange(len(choices)), at] += 1
    found, *_ = np.linalg.lstsq(uses, published, rcond=None)
    solved = dict(zip(keys, found[:-1], strict=True))
    fixed = fbnet.fixed_layers(fbnet.SKELETONS[0])
    table = {**solved, **dict.fromkeys(fixed, found[-1] / len(fixed))}
    np.testing.assert_allclose(fbnet.sums(table, fbnet.SKELETONS[0], choices), published, rtol=1e-6)


def test_what_was_converted_is_kept_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: Callable[[Table], None]
) -> None:
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    paths = write(tmp_path / FILE, {"nasbench201": nasbench201_part(), "fbnet": fbnet_part()})
    for module in (nb201, fbnet):
        table: Table = module.convert(paths)
        comes_back(table)


@pytest.mark.parametrize("module", [nb201, fbnet])
def test_a_malicious_pickle_is_refused_and_nothing_ran(
    tmp_path: Path, module: Any, touch: Callable[[Path], object]
) -> None:
    witness = tmp_path / "witness"
    content = {"nasbench201": nasbench201_part(), "fbnet": fbnet_part(), "more": touch(witness)}
    paths = write(tmp_path / FILE, content)
    with paths[FILE].open("rb") as file:
        pickle.load(file)  # noqa: S301 - the attack works on a reader that resolves names
    assert witness.exists()
    witness.unlink()
    with pytest.raises(UnsafeDataError):
        module.convert(paths)
    assert not witness.exists()


@pytest.mark.parametrize("module", [nb201, fbnet])
@pytest.mark.parametrize("cut", [0, 1, 1000, -1])
def test_a_truncated_pickle_is_told(tmp_path: Path, module: Any, cut: int) -> None:
    paths = write(tmp_path / FILE, {"nasbench201": nasbench201_part(), "fbnet": fbnet_part()})
    paths[FILE].write_bytes(paths[FILE].read_bytes()[:cut])
    with pytest.raises(DataUnavailableError, match="pickle"):
        module.convert(paths)


def without(part: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = part
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return part


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"nasbench201": []},
        {"nasbench201": without(nasbench201_part(), "cifar100")},
        {"nasbench201": without(nasbench201_part(), "cifar10", "config")},
        {"nasbench201": without(nasbench201_part(), "ImageNet16-120", "fpga_energy")},
        {"nasbench201": {**nasbench201_part(), "cifar100": {"config": [{"arch_str": "no"}]}}},
        {"nasbench201": {k: {**v, "raspi4_latency": [1.0]} for k, v in nasbench201_part().items()}},
        {"nasbench201": {k: {**v, "raspi4_latency": ["1"] * 21} for k, v in nasbench201_part().items()}},
        {"nasbench201": {k: {**v, "raspi4_latency": [-1.0] * 21} for k, v in nasbench201_part().items()}},
        {"nasbench201": {k: {**v, "config": v["config"][::-1 if k == "cifar100" else 1]}
                         for k, v in nasbench201_part().items()}},
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_told(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataUnavailableError, match=FILE):
        nb201.convert(write(tmp_path / FILE, content))


@pytest.mark.parametrize("wrong", [{}, [], {"pixel3_latency": {}}, None])
def test_look_up_tables_that_lack_a_layer_are_told(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(DataUnavailableError, match=FILE):
        fbnet.convert(write(tmp_path / FILE, {"fbnet": wrong}))
    part = fbnet_part()
    del part["fpga_latency"]["FC_Cin1984_Cout1000"]
    with pytest.raises(DataUnavailableError, match="FC_Cin1984"):
        fbnet.convert(write(tmp_path / FILE, {"fbnet": part}))
