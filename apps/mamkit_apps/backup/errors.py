"""What can be wrong with a backup."""

from mamkit.errors import MamkitError

__all__ = ["BackupDamagedError", "BackupExistsError", "BackupKeyError", "BackupUnknownError", "TargetNotEmptyError"]


class BackupDamagedError(MamkitError):
    """A file of a backup is missing, cut short or changed; nothing was restored.

    Attributes:
        name: The file.
    """

    code = "apps.backup_damaged"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the backup is damaged: {name} {reason}; nothing was restored, take another one")
        self.name = name


class BackupExistsError(MamkitError):
    """There is something at the place where a backup was to be written."""

    code = "apps.backup_exists"

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} is not empty; name a new folder or prefix for each backup")


class BackupKeyError(MamkitError):
    """A backup is encrypted and no key was given, or a key cannot be used."""

    code = "apps.backup_key"


class BackupUnknownError(MamkitError):
    """There is no backup at a place, or one that this version cannot read."""

    code = "apps.backup_unknown"


class TargetNotEmptyError(MamkitError):
    """A restore would replace what is there."""

    code = "apps.target_not_empty"
