"""Lists and what was learned about searching them, in one file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Final

import numpy as np

from archindex.core.errors import CorruptIndexError
from archindex.indexes.curve import BINS, Calibration, HitCurve
from archindex.indexes.lists import Lists

FILE: Final = "lists.npz"
_ARRAYS: Final = ("centroids", "starts", "radii", "spreads", "dimensions")


def save_lists(folder: Path, lists: Lists, calibration: Calibration) -> None:
    """Write ``lists.npz`` into `folder`, which is made; disk errors are the caller's."""
    folder.mkdir(parents=True, exist_ok=True)
    more = {
        "metric": lists.metric,
        "trained": lists.trained,
        "misses": dict(calibration.misses),
        "misses_of_many": dict(calibration.misses_of_many),
        "efforts": dict(calibration.efforts),
        "efforts_of_many": dict(calibration.efforts_of_many),
        "intrinsic_dimension": calibration.intrinsic_dimension,
    }
    arrays = {name: getattr(lists, name) for name in _ARRAYS}
    np.savez(folder / FILE, curve=calibration.curve.share, more=np.array(json.dumps(more)), **arrays)


def load_lists(folder: Path) -> tuple[Lists, Calibration] | None:
    """Read what `save_lists` wrote; None where nothing was written.

    None as well for lists of format 1, which do not know their dimensions: searches do without, and the next
    version has new ones.

    Raises
    ------
    CorruptIndexError
        If the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            content = {name: stored[name] for name in stored.files}
        if "dimensions" not in content:
            return None
        more, curve = json.loads(str(content.pop("more"))), content.pop("curve")
        if curve.shape != (BINS,):
            raise ValueError("a curve of another length")
        lists = Lists(metric=more["metric"], trained=int(more["trained"]), **content)
        misses = more["misses"]
        many = more.get("misses_of_many", misses)
        efforts = more["efforts"]
        return lists, Calibration(
            HitCurve(curve),
            misses,
            many,
            efforts,
            more.get("efforts_of_many", efforts),
            float(more["intrinsic_dimension"]),
        )
    except Exception as error:  # of a damaged archive, NumPy raises many kinds
        raise CorruptIndexError("expected the lists of the index", got=f"{path}: {error}") from None
