"""The index folder on disk: catalogue, vectors, columns, engine files, log and versions."""
