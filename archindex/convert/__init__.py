"""Architectures to and from other formats: ONNX, torch modules, networkx, torch-geometric, drawings."""
