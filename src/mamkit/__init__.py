"""Parts of a video platform, each importable alone: storage, signing, auth, transcode, jobs, catalog, previews.

Importing `mamkit` itself imports none of them; take the part you need, e.g. `from mamkit.signing import UrlSigner`.
"""

__version__ = "0.1.0"
