"""Predictors: measurements of architectures from a few labels, with calibrated uncertainty."""
