"""Tables of measurements: architectures of a search space with what was measured, summed or computed.

`load` gives a `Table` by name: a data set that ships as a Python package (``nasbench201``, the default), one
that is read from the folder in the environment variable ``ARCHINDEX_DATA``, one that was converted from
official files (`get` fetches them), or a table that the user imported with `import_table` and kept with
`save_table`. Importing this package reads no data and loads no reader.
"""

if not __name__.startswith("archindex."):
    raise ImportError(
        "'datasets' is a part of archindex and not a package of its own: import archindex.datasets instead"
    )

from archindex.datasets.custom import import_table
from archindex.datasets.kept import load_table, remove_table, save_table
from archindex.datasets.known import DATASETS, DatasetInfo, DatasetSpec
from archindex.datasets.registry import dataset_names, get, info, load, measurements, promised, raw_columns
from archindex.datasets.table import Table

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "DatasetSpec",
    "Table",
    "dataset_names",
    "get",
    "import_table",
    "info",
    "load",
    "load_table",
    "measurements",
    "promised",
    "raw_columns",
    "remove_table",
    "save_table",
]
