"""How easily a new password is guessed, and what to say to whoever chose it."""

import unicodedata
from collections.abc import Iterable

from mamkit.auth.errors import WeakPasswordError
from mamkit.errors import MissingExtraError

try:
    import zxcvbn
except ImportError as error:
    raise MissingExtraError("auth", package="zxcvbn") from error

__all__ = ["check_strength"]

_MIN_CHARACTERS = 8  # NIST SP 800-63B section 5.1.1.2
_WINDOW = (
    24  # characters judged at once: of 72, zxcvbn's own bound, a hostile choice takes it seconds, of 24 about 0.2 s
)
_MIN_SCORE = 3  # zxcvbn: 10^8 guesses and more, "safely unguessable" where each costs an Argon2 hash
_SEQUENCES = ("0123456789" * 2, "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")
_COMMON = frozenset({"password", "passw0rd", "password1", "letmein1", "iloveyou", "1q2w3e4r", "1qaz2wsx", "qwerty123"})


def check_strength(password: str, *, about: Iterable[str] = ()) -> None:
    """Refuse a new password that is easily guessed.

    The length rule is that of NIST SP 800-63B section 5.1.1.2: at least 8 characters, and no rules of composition. What
    is longer is judged by zxcvbn (Wheeler, USENIX Security 2016), which knows common passwords, words, names, dates,
    keyboard runs and their usual disguises. Of a long password it judges the first and the last 24 characters, and one
    of them must be hard to guess. That takes some hundredths of a second: not for an event loop.

    Args:
        password: As it was typed.
        about: What an attacker knows of the person, e.g. e-mail address and name; a password made of it is weak.

    Raises:
        WeakPasswordError: It is not valid Unicode text, has fewer than 8 characters, is one or two characters repeated,
            a run along the alphabet, the digits or the keyboard, one of the most common passwords, or takes fewer than
            10^8 guesses. `hints` says what to do about it.
    """
    plain = normal(password)
    text = plain.casefold()
    if len(text) < _MIN_CHARACTERS:
        raise WeakPasswordError("too_short")
    if len(set(text)) <= 2:
        raise WeakPasswordError("repeated")
    if any(text in run or text[::-1] in run for run in _SEQUENCES):
        raise WeakPasswordError("sequence")
    if text in _COMMON:
        raise WeakPasswordError("common")
    known = [word for item in about for word in (item, *item.replace("@", ".").split(".")) if len(word) > 2]
    # What is hard to guess in a part makes the whole hard to guess, whatever the rest is.
    windows = dict.fromkeys((plain[:_WINDOW], plain[-_WINDOW:]))
    judged = [zxcvbn.zxcvbn(window, user_inputs=[*known, "mamkit"]) for window in windows]
    if all(each["score"] < _MIN_SCORE for each in judged):
        feedback = judged[0]["feedback"]
        hints = [feedback["warning"], *feedback["suggestions"]]
        raise WeakPasswordError("guessable", hints=tuple(_sentence(hint) for hint in hints if hint))


def normal(password: str) -> str:
    """Return the text that is hashed: Unicode form NFKC (NIST SP 800-63B section 5.1.1.2).

    A lone surrogate, which JSON can carry and UTF-8 cannot, raises `WeakPasswordError`.
    """
    if any("\ud800" <= character <= "\udfff" for character in password):
        raise WeakPasswordError("not_text")
    return unicodedata.normalize("NFKC", password)


def _sentence(hint: str) -> str:
    return hint if hint.endswith(".") else f"{hint}."
