"""NAS-Bench-101 with mean test accuracy of all cells, from the folder in ``ARCHINDEX_DATA``.

The table keeps no validation accuracy and no single seed. Params and FLOPs are computed by the search space.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from archindex.core.errors import ArchitectureError, DataUnavailableError, TableError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.folder import data_files
from archindex.datasets.known import DatasetSpec
from archindex.datasets.parquet import read_parquet
from archindex.datasets.table import Table
from archindex.spaces.nasbench101_cells import PackedCells

FILE: Final = "nb101.parquet"
EPOCHS: Final = 108
SOURCE: Final = "NAS-Bench-101, mean over seeds, through FreeREA"
COST_SOURCE: Final = "archindex nasbench101 space"


SPEC: Final = DatasetSpec(
    name="nb101",
    space="nasbench101",
    rows=423_624,
    measures="test accuracy, params, FLOPs",
    description="mean test accuracy, params and FLOPs on CIFAR-10 of all NAS-Bench-101 cells",
    licence="Apache-2.0, MIT (FreeREA)",
    citation='Ying et al., "NAS-Bench-101", ICML 2019; Cavagnero et al., "FreeREA", WACV 2023',
    homepage="https://github.com/google-research/nasbench",
    tables=(FILE,),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return (
        MeasurementSpec("acc", "cifar10", "test", epochs=EPOCHS, aggregate="mean", source=SOURCE),
        MeasurementSpec("params", "cifar10", provenance="computed", source=COST_SOURCE),
        MeasurementSpec("flops", "cifar10", provenance="computed", source=COST_SOURCE),
    )


def load() -> Table:
    """Return the table; rows in the order of the file.

    Raises
    ------
    DataUnavailableError
        If the file is not there or is damaged.
    """
    [path] = data_files(SPEC)
    try:
        read = read_parquet(path, ["adj_bits", "ops", "cifar10_test_acc_108ep"])
        cells = PackedCells.from_table(read["adj_bits"], read["ops"])
    except (ArchitectureError, TableError) as error:
        raise DataUnavailableError(
            f"expected the NAS-Bench-101 table {FILE}", got=error, fix=SPEC.remedy
        ) from error
    costs = cells.costs()
    accuracy = read["cifar10_test_acc_108ep"].astype(np.float64)
    values = (accuracy, costs.params / 1e6, costs.flops / 1e6)
    return SPEC.table(cells.natives(), map(Series, promised(), values))
