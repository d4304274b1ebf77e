"""Benchmark scripts and their results. README.md in this folder says which script answers which question."""
