"""Measurements beside peers: `uv run python -m benchmarks.NAME [--quick] [--json]`."""
