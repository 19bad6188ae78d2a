"""The root of everything that mamkit raises on purpose."""

from typing import ClassVar

__all__ = ["MamkitError", "MissingExtraError"]


class MamkitError(Exception):
    """Base of every error that mamkit raises on purpose.

    The message is one sentence that names the input and, where there is one, the remedy; it never holds a secret.
    Evidence is kept in attributes of the subclass; an error of another library is chained as `__cause__`.

    Attributes:
        code: Stable, unique name of the kind of error, `area.what_happened`. Programs may switch on it, and the HTTP
            services send it as `code` in their problem documents. It does not change when the wording does.
    """

    code: ClassVar[str] = "mamkit.error"


class MissingExtraError(MamkitError, ImportError):
    """A part was imported whose third-party packages are not installed.

    Attributes:
        extra: Name of the extra that brings them, as in `pip install 'mamkit[extra]'`.
    """

    code = "mamkit.missing_extra"

    def __init__(self, extra: str, *, package: str) -> None:
        super().__init__(f"the package {package!r} is not installed; install it with: pip install 'mamkit[{extra}]'")
        self.extra = extra
