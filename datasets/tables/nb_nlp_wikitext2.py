"""NAS-Bench-NLP: recurrent cells trained as language models on WikiText-2."""

from __future__ import annotations

from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, read_table, specs_of

SOURCE: Final = "NAS-Bench-NLP (Klyuchnikov et al., IEEE Access 2022), WikiText-2 subset"
EPOCHS: Final = 50

SPEC: Final = DatasetSpec(
    name="nb_nlp_wikitext2",
    space="nasbench_nlp",
    rows=291,
    measures="validation and test loss by run, time of an epoch, params",
    description=(
        "validation and test loss (cross-entropy a word, best of 50 epochs) of 291 recurrent cells as "
        "language models on WikiText-2, 345 runs in all, and the mean time of an epoch; four runs whose "
        "loss became NaN have no values"
    ),
    licence="Apache-2.0",
    citation='Klyuchnikov et al., "NAS-Bench-NLP", IEEE Access 2022',
    homepage="https://github.com/fmsnew/nas-bench-nlp-release",
    tables=("nb_nlp_wikitext2.parquet",),
)

# A run that broke off has losses of fewer epochs: they are no 50-epoch losses.
FINISHED: Final = {"status": ("OK",)}

COLUMNS: Final = (
    Column("best_val_loss", "wikitext2:valid:loss", FINISHED, "seeds", epochs=EPOCHS),
    Column("test_loss_at_best_val", "wikitext2:test:loss", FINISHED, "seeds", epochs=EPOCHS),
    Column("mean_epoch_time_s", "wikitext2_epoch:train_time", FINISHED, "seeds", epochs=1),
    Column("num_params", "wikitext2:params@count/computed", repeats="same"),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, SOURCE)


def load() -> Table:
    """Return the table; runs of the same recipe become seeds, in file order."""
    return read_table(SPEC, COLUMNS, "recipe", SOURCE)
