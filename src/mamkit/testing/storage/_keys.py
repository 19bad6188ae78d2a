"""Keys that try a store, and texts that are none."""

__all__ = ["BAD_KEYS", "GOOD_KEYS"]

GOOD_KEYS = (
    "a",
    "a.b",
    ".hidden",
    "a/.hidden/b",
    ".scratch",
    ".facts/a",
    "...",
    "a b+c=d&e,f;g:h@i!j$k'l(m)*n~o",
    "%2e%2e/%2F",
    "percent%",
    "UPPER/lower/UPPER",
    "ümlaut/日本語/🎬.mp4",
    "cafe\u0301",
    "caf\u00e9",
    "trailing.dot.",
    "trailing space ",
    " leading space",
    '"quoted"',
    "<b>?x#y|z",
    "con/nul.txt",
    "\u2028\u202e",
    "-rf",
    "x" * 300 + "/" + "y" * 300,
    "z" * 1024,
    "é" * 512,
    "." + "d" * 255,
    "e.f" * 100,
    "/".join("abcdefgh" * 60),
)
"""Keys that every store takes, and keeps apart."""

BAD_KEYS = (
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a/..",
    "a\\b",
    "a\0b",
    "a\nb",
    "\x7f",
    "\x85",
    "half \ud800 pair",
    "x" * 1025,
    "é" * 513,
)
"""Texts that no store takes as a key."""
