"""The words of texts, and which of them somebody looks for."""

import re
import unicodedata
from collections.abc import Iterable
from uuid import UUID

__all__ = ["MAX_WORDS", "fold", "words_of", "workspace_word"]

MAX_WORDS = 20_000
"""Most words of one asset that are looked at; a `tsvector` holds 1 MiB (PostgreSQL documentation 12.11)."""

_LONGEST = 64  # characters of a word that count; a tsvector's lexeme holds 2 KiB (the same)
_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Return a text without accents and case (Unicode form NFKD, case-folded, marks removed)."""
    split = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in split if not unicodedata.combining(character))


def words_of(texts: Iterable[str]) -> list[str]:
    """Return the folded words of some texts, each once, in order: runs of letters and digits, at most `MAX_WORDS`."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(fold(text)):
            found[word[:_LONGEST]] = None
            if len(found) == MAX_WORDS:
                return list(found)
    return list(found)


def workspace_word(workspace_id: UUID) -> str:
    """Return the word that all assets of a workspace have, so that an index of words finds them alone."""
    return f"workspace{workspace_id.hex}"
