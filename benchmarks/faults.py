"""Faults made on purpose: what is lost, what is noticed, and what is mended; one section for each claim.

Run with ``ARCHINDEX_DATA=... python -m benchmarks.faults SECTION ...`` (no section: all of them). ``--quick``
takes little of everything, to see that it runs. `benchmarks.soak` is the long one.
"""

from __future__ import annotations

from typing import Final

from benchmarks.sections import main

SECTIONS: Final[dict[str, str]] = {
    "kills": "kill -9 at random moments of every command that writes: nothing acknowledged is lost",
    "kills_large": "the same on 25,000 rows",
    "bits": "a flipped bit in every file: noticed, named, mended where it can be, and never a wrong answer",
    "bits_large": "the same in an index of 25,000 rows",
    "disk": "a disk that fills up under every command: nothing is lost, and the next try works",
    "read_only": "a disk or a folder that takes no writes: reading works, writing says so, nothing changes",
    "writers": "six writers at once: every acknowledged row is there, under an id of its own",
}
"""Module of `benchmarks.faulting` for each claim."""


if __name__ == "__main__":
    main(__doc__ or "", "benchmarks.faulting", SECTIONS, "faults")
