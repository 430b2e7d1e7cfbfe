"""PLACEHOLDER."""

if not __name__.startswith("archindex."):
    raise ImportError(
        f"'{d}' is a part of archindex and not a package of its own: import archindex.{d} instead"
    )
