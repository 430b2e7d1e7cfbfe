"""Sections of `benchmarks.encoders`; each gives PROTOCOL and ``measure(data, quick)``."""
