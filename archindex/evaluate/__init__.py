"""Evaluation: recall of searches, curves of architecture search, differences of architectures, plots."""
