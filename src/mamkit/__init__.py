"""Parts of a video platform, each importable alone: storage, signing, auth, transcode, jobs, catalog, previews.

Importing `mamkit` itself imports none of them; take the part you need, e.g. `from mamkit.signing import UrlSigner`.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Return the version that is installed, `__version__`; it comes from the repository's tags."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - importing a part costs no look at the disk

    return version("mamkit")
