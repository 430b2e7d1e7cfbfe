"""Tables of the folder ``ARCHINDEX_DATA``: one short description each, read by one reader.

A description says what the rows are (`DatasetSpec`), how a row names its architecture, and what each column
measures (`Column`). ``reader.py`` does the rest. To add a table, write such a module and name it in
`archindex.datasets.known.DATASETS`.
"""
