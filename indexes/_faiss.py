"""faiss, imported without its noise and without its hand-written types, which lack half of it."""

import warnings
from typing import Any

with warnings.catch_warnings():
    # SWIG's types have no __module__, which Python 3.12 deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    import faiss as _faiss

faiss: Any = _faiss
