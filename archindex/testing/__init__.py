"""Conformance suites for what is plugged in: inherit one, override its hooks, run it with pytest."""
