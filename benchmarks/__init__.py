"""Measurements beside peers, in the same run: `uv run python -m benchmarks.NAME [--quick] [--json]`."""
