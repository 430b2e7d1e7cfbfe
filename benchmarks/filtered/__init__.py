"""The sections of `benchmarks.filtered_search`."""
