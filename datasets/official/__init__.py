"""Importers of benchmark tables from the files that their authors publish.

Each module of a data set has a ``SPEC`` (addresses, checksums, licence, citation) and a ``convert``, which
reads the official format and nothing else: no framework of its authors, no pickle that could run code. Where
the format is known from is said in the module's docstring, by repository and file.
"""
