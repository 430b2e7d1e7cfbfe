"""Named models: their names parse, and their graphs need the package that builds them."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import archindex as ax
from archindex.convert import zoo
from archindex.core.errors import ArchitectureError, ArgumentError, DataUnavailableError
from archindex.core.graph import ArchGraph
from archindex.datasets import import_table
from archindex.spaces.registry import NAMED
from archindex.store.addresses import parse_anywhere

TABLES = {"timm": ("timm_imagenet", "timm_infer_benchmark"), "torchvision": ("torchvision_models",)} | {
    "pytorchcv": ("pytorchcv_models",)
}
ZOOS: dict[str, zoo.NamedModels] = {
    "timm": zoo.Timm(),
    "torchvision": zoo.Torchvision(),
    "pytorchcv": zoo.Pytorchcv(),
}
EXAMPLES = {
    "timm": ("resnet50", "resnet50.a1_in1k", "vit_base_patch16_224.augreg2_in21k_ft_in1k"),
    "torchvision": ("alexnet", "wide_resnet101_2", "ssdlite320_mobilenet_v3_large"),
    "pytorchcv": ("AlexNet", "108-MENet-8x1 (g=3)", "NASNet-A 4@1056", "EfficientNet-B0c*"),
}
MALFORMED = ("", "a b c\0", "résnet", "a\nb", "../../etc/passwd", "a" * 10_000, "٣", "'; --")


def table_names(space: str) -> list[str]:
    """Every model of the space in the tables of ARCHINDEX_DATA."""
    import duckdb

    folder = os.environ.get("ARCHINDEX_DATA")
    if not folder:
        pytest.skip("reads the tables of the folder ARCHINDEX_DATA, unset here")
    files = [str(Path(folder, f"{name}.parquet")) for name in TABLES[space]]
    rows = duckdb.execute(
        "SELECT DISTINCT model FROM read_parquet(?, union_by_name=true)", [files]
    ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize("name", sorted(NAMED))
class TestZoo:
    def test_names_parse_and_format_back(self, name: str) -> None:
        for native in EXAMPLES[name]:
            arch = ax.space(name).parse(f" {native}\n")
            assert (arch.native, str(arch)) == (native, f"{name}:{native}")

    def test_every_name_of_the_tables_parses(self, name: str) -> None:
        names = table_names(name)
        assert len(names) == {"timm": 2681, "torchvision": 121, "pytorchcv": 414}[name]
        assert [ax.space(name).parse(native).native for native in names] == names

    @pytest.mark.parametrize("text", MALFORMED)
    def test_what_is_no_name_is_refused(self, name: str, text: str) -> None:
        with pytest.raises(ArchitectureError, match="expected the name of a model"):
            ax.space(name).parse(text)

    def test_nothing_is_listed_sampled_or_mutated(self, name: str) -> None:
        space = ax.space(name)
        assert space.size is None
        assert space.sample(0) == []
        with pytest.raises(ArgumentError):
            space.sample(-1)
        arch = space.parse(EXAMPLES[name][0])
        uses: list[Callable[[], object]] = [lambda: space.sample(1), lambda: space.neighbors(arch)]
        for use in uses:
            with pytest.raises(ArchitectureError, match="list of named models"):
                use()
        with pytest.raises(ArchitectureError):
            space.from_graph(ArchGraph(("input", "output"), ((0, 1, 0),)))

    def test_without_the_package_graphs_are_not_available(
        self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(zoo, "find_spec", lambda _: None)
        arch = ax.space(name).parse(EXAMPLES[name][0])
        uses: list[Callable[[], object]] = [lambda: arch.graph, lambda: arch.arch_id]
        for use in uses:
            with pytest.raises(DataUnavailableError, match=f"pip install {name}"):
                use()
        # A table holds names and measurements; an index needs graphs.
        (tmp_path / "mine.csv").write_text(f'model,acc\n"{arch.native}",70.5\n')
        table = import_table(tmp_path / "mine.csv", name, {"acc": "imagenet:test:acc"}, arch_column="model")
        assert table.natives == (arch.native,)
        with pytest.raises(DataUnavailableError, match="pip install"):
            ax.build(tmp_path / "index", table)

    def test_a_package_that_does_not_work_here_says_so(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: str) -> Any:
            raise RuntimeError("operator torchvision::nms does not exist")

        monkeypatch.setattr(zoo, "find_spec", lambda _: object())
        monkeypatch.setattr(ZOOS[name], "_build", broken)
        with pytest.raises(DataUnavailableError, match="nms does not exist"):
            ZOOS[name].build(EXAMPLES[name][0])


@pytest.mark.parametrize("text", ["resnet50.a.b", "ResNet", "resnet-50", "resnet50."])
def test_names_of_timm_have_one_tag_at_most(text: str) -> None:
    assert not ax.space("timm").validate(text)


def test_a_bare_word_is_no_named_model() -> None:
    with pytest.raises(ArchitectureError, match="space:native"):
        parse_anywhere("resnet50")
    assert parse_anywhere("timm:resnet50").space.name == "timm"


def test_printed_names_and_functions_of_pytorchcv_meet() -> None:
    pairs = {
        "1.5-SqNxt-23v5": "sqnxt23v5_w3d2",
        "108-MENet-8x1 (g=3)": "menet108_8x1_g3",
        "CondenseNet-74 (C=G=4)": "condensenet74_c4_g4",
        "DenseNet-BC-40 (k=36)": "densenet40_k36_bc",
        "MobileNetV2b x0.25": "mobilenetv2b_wd4",
        "NASNet-A 4@1056": "nasnet_4a1056",
        "RegNetX-200MF": "regnetx002",
        "RegNetY-1.6GF": "regnety016",
        "RegNetX-16GF": "regnetx160",
        "ResNet(A)-10": "resneta10",
        "ResNeXt-20 (2x64d)": "resnext20_2x64d",
        "ShuffleNet x0.25 (g=3)": "shufflenet_g3_wd4",
    }
    keys = {function: zoo._key(function) for function in (*pairs.values(), "resnext20_64x2d")}
    assert len(set(keys.values())) == len(keys)
    assert {printed: zoo._key(zoo._as_function(printed)) for printed in pairs} == {
        printed: keys[function] for printed, function in pairs.items()
    }


@pytest.mark.skipif(not find_spec("pytorchcv"), reason="the Python package pytorchcv is not installed")
class TestPytorchcv:
    @pytest.mark.parametrize(
        ("native", "params"),
        [("AlexNet", 62_378_344), ("ResNet-10", 5_418_792), ("MobileNetV2 x0.25", 1_516_392)],
    )
    def test_models_are_built_and_counted(self, native: str, params: int) -> None:
        module, (images,) = zoo.Pytorchcv().build(native)
        assert sum(p.numel() for p in module.parameters()) == params
        assert images.shape == (1, 3, 224, 224)

    def test_params_are_those_of_the_table(self) -> None:
        import duckdb
        import torch

        names = set(table_names("pytorchcv"))
        file = Path(os.environ["ARCHINDEX_DATA"], "pytorchcv_models.parquet")
        rows = duckdb.execute("SELECT model, params_m FROM read_parquet(?)", [str(file)]).fetchall()
        builders = zoo.pytorchcv_builders()
        keys = {n: zoo._IRREGULAR.get(n) or zoo._key(zoo._as_function(n)) for n in sorted(names)}
        assert sum(key in builders for key in keys.values()) >= 390
        equal = 0
        for native in sorted(names)[::20]:
            if keys[native] in builders:
                file_name, function = builders[keys[native]]
                with torch.device("meta"):
                    module = getattr(import_module(f"pytorchcv.models.{file_name}"), function)()
                params = sum(p.numel() for p in module.parameters())
                equal += any(m == native and p and round(p * 1e6) == params for m, p in rows)
        assert equal >= 15

    def test_the_graph_is_that_of_the_module(self) -> None:
        arch = ax.space("pytorchcv").parse("ResNet-10")
        assert sum(op == "conv" for op in arch.graph.ops) == 12
        assert arch.arch_id == ax.space("pytorchcv").parse("ResNet-10").arch_id

    def test_models_that_it_does_not_build_say_so(self) -> None:
        with pytest.raises(DataUnavailableError, match="pip install --upgrade"):
            zoo.Pytorchcv().build("NoSuchNet-7")
