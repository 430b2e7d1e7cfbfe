"""What the encoders, decoders and predictors are worth: one section for each claim, peers beside them.

Run with ``ARCHINDEX_DATA=... python -m benchmarks.encoders SECTION ...`` (no section: all of them, hours).
``--quick`` takes a few architectures of everything, to see that it runs.
"""

from __future__ import annotations

from typing import Final

from benchmarks.sections import main

SECTIONS: Final[dict[str, str]] = {
    "speed": "architectures encoded a second, against a plain torch-geometric loop",
    "autoencoder": "reconstruction, validity, uniqueness and novelty of decoders",
    "generator": "candidates of generative models, against the decoder of the autoencoder",
    "ranking": "Kendall's tau with few labels, by predictor",
    "locality": "does near mean alike, for every encoder",
    "transfer": "labels of NAS-Bench-101 alone, ranking NAS-Bench-201",
    "round_trip": "networks found again through ONNX, also after harmless rewrites",
    "families": "retrieval of networks of the same family",
    "matryoshka": "what prefixes of the vectors are worth",
    "devices": "latency of a new device from ten measurements",
}
"""Module of `benchmarks.encoding` for each claim."""


if __name__ == "__main__":
    main(__doc__ or "", "benchmarks.encoding", SECTIONS, "encoders")
