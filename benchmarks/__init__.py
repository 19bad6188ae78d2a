"""Measurements beside peers, in the same run: `uv run --group dev python -m benchmarks.NAME [--quick] [--json]`."""
