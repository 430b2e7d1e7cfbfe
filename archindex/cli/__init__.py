"""The command line: one module per family of commands, one output sink, one table of errors.

A command module imports nothing heavy at its top: what a command needs is imported when it runs, so that
``archindex query`` starts as fast as its libraries do.
"""
