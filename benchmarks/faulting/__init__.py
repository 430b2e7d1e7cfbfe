"""Faults made on purpose; see `benchmarks.faults` and `benchmarks.soak`."""
