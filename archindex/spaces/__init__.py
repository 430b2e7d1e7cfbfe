"""Search spaces: what an architecture may be, its native string, its graph, its neighbours, its costs."""
