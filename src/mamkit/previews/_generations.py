"""What tells one generation of a preview from the next; see `Publisher.rebuild`."""

from mamkit.catalog import Preview, Version
from mamkit.previews.messages import PartJob

__all__ = ["is_of", "name_of", "prefix_of"]


def prefix_of(preview: Preview, version: Version) -> str:
    """Return where a preview is made."""
    return preview.prefix or version.preview_prefix


def name_of(preview: Preview) -> str:
    """Return what the dedupe keys of a preview's jobs hold: those of two generations are not the same."""
    return str(preview.version_id) if preview.generation == 1 else f"{preview.version_id}.{preview.generation}"


def is_of(job: PartJob, preview: Preview) -> bool:
    """Return whether a job is of a preview's newest generation, and not of one that was given up."""
    return preview.prefix in {None, job.prefix}
