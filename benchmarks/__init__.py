"""How fast the parts are beside what they are built on: `uv run python -m benchmarks.NAME [--quick] [--json]`."""
