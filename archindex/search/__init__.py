"""Architecture search on an index: ask/tell strategies, oracles, runs, decoding."""
