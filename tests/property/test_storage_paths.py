"""Keys and paths of a local store are one to one, whatever the keys."""

from pathlib import PurePosixPath

from hypothesis import assume, example, given
from hypothesis import strategies as st

from mamkit.storage import InvalidKeyError, check_key
from mamkit.storage._paths import FOLDER_NAME, MAX_NAME, folder_path, key_path, name_bytes

# Letters that matter to the mapping, and long runs of them, come often.
LETTERS = st.one_of(
    st.sampled_from("aB.%-_ é2f😀"), st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\")
)
SEGMENTS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12),
    st.builds(lambda text, count: text * count, st.text(LETTERS, min_size=1, max_size=3), st.integers(1, 300)),
)


def is_key(text: str) -> bool:
    try:
        check_key(text)
    except InvalidKeyError:
        return False
    return True


KEYS = st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join).filter(is_key)


def key_of(path: PurePosixPath) -> str:
    """Read the key off a path, as the walk through the folders does."""
    key = b""
    for name in path.parts[:-1]:
        key += name_bytes(name) + (b"" if name.endswith("%") else b"/")
    return (key + name_bytes(path.name)).decode()


@given(KEYS)
@example("x" * 1024)
@example("é" * 512)
@example("." * 1000)
@example("..." + "a" * 198)
def test_a_path_says_its_key(key: str) -> None:
    assert key_of(key_path(key)) == key


@given(KEYS, KEYS)
@example("a", "a/b")
@example("a.b", "a.b/c")
@example("A", "a")
@example("%41", "A")
@example("a", "a.%")
@example("z" * 199, "z" * 198 + "/z")
@example("z" * 199, "z" * 198 + "%/z")
def test_two_keys_have_two_paths_of_which_none_is_within_the_other(one: str, other: str) -> None:
    """Not even on a file system that ignores case."""
    assume(one != other)
    first, second = (PurePosixPath(str(key_path(key)).lower()) for key in (one, other))
    assert first != second
    assert first not in second.parents
    assert second not in first.parents


@given(KEYS)
def test_names_are_fit_for_every_file_system(key: str) -> None:
    """Plain lower-case ASCII, not too long, never hidden; a file has a dot in its name and a folder has none."""
    path = key_path(key)
    assert not path.is_absolute()
    assert str(path).isascii()
    assert str(path) == str(path).lower()
    assert "." in path.name
    assert not path.name.startswith(".")
    assert all(FOLDER_NAME.fullmatch(name) for name in path.parts[:-1])
    assert all(0 < len(name) <= MAX_NAME for name in path.parts)


@given(KEYS)
def test_the_folder_of_a_prefix_holds_all_of_its_keys(key: str) -> None:
    for end, character in enumerate(key):
        if character == "/":
            assert folder_path(key[: end + 1]) in key_path(key).parents


@given(st.from_regex(r"[a-z0-9_-]([a-z0-9_.-]{0,30}\.[a-z0-9]{1,8})", fullmatch=True))
def test_a_plain_name_stands_for_itself(name: str) -> None:
    assert str(key_path(f"previews/{name}")) == f"previews/{name}"
