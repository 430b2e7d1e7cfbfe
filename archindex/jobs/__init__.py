"""Offline jobs: build an index, export one."""
