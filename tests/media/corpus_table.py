"""What becomes of each file of a folder of media: `python -m tests.media.corpus_table FOLDER PAGE` writes a page.

With `--quick` before the folder each film is made in the two smallest sizes only.

Every file is transcoded as `mamkit transcode` does it, but without artwork; a still image becomes thumbnails. Where a
checker of HLS trees lies in `../tools/hls_check.py` beside the folder, each tree is checked against its source, too.
The exit status is 1 if anything that is made fails its check, or anything goes wrong in another way than by an error of
its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from mamkit.transcode import (
    DEFAULT_LADDER,
    Ladder,
    Limits,
    MediaError,
    MediaInfo,
    MediaUnsupportedError,
    Report,
    TranscodeError,
    thumbnails,
    transcode,
)

_AT_ONCE = 3  # files; most are short, and much of the time goes into starting processes
_MOST_DETAIL = 80  # characters
_SOON = 10.0  # seconds within which what cannot be used is refused

HEAD = """# What becomes of real files

Written by `uv run nox -s corpus -- FOLDER` from a folder of real media: cameras, phones, screen recorders, broadcast,
browsers, and files made to do harm. {good} of {all} went as they should: a film becomes a tree, {checked};
a still image becomes thumbnails; what cannot be used is refused under the code of its error. The slowest refusal took
{slowest:.1f} s.

Seconds are those of the source, of what is made of it, and what that took on {cores} cores that had other work to do;
each film was made in {sizes}.

"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file."""

    name: str
    outcome: str
    good: bool
    took: float
    """Seconds."""
    facts: str = ""
    lengths: str = ""
    notes: str = ""
    refused: bool = False


def rows(folder: Path, ladder: Ladder) -> Iterator[Row]:
    """Transcode all files below a folder that lie in folders of their kind."""
    check = _checker(folder)
    paths = [path for path in sorted(folder.glob("*/*")) if path.is_file()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda path: _row(path, f"{path.parent.name}/{path.name}", check, ladder), paths)


def _checker(folder: Path) -> Path:
    return folder.parent / "tools" / "hls_check.py"


def _row(path: Path, name: str, check: Path, ladder: Ladder) -> Row:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mamkit-corpus-") as scratch:
        out = Path(scratch, "out")
        try:
            report = transcode(path, out, ladder=ladder, artwork=False, limits=Limits(time=timedelta(minutes=30)))
        except TranscodeError as error:
            return _without_tree(path, name, error, began)
        took = time.monotonic() - began
        failed = _failed(check, report.playlist, path)
    notes = [note for note in report.notes if "encoded and not copied" not in note]
    return Row(
        name=name,
        facts=_facts(report.info),
        outcome=_outcome(report, failed),
        good=not failed,
        took=took,
        lengths=f"{float(report.info.duration):.2f} → {float(report.plan.duration):.2f}",
        notes="; ".join(notes),
    )


def _without_tree(path: Path, name: str, error: TranscodeError, began: float) -> Row:
    """Make thumbnails of what is a still image; everything else is refused."""
    with tempfile.TemporaryDirectory(prefix="mamkit-corpus-") as scratch:
        try:
            made = thumbnails(path, Path(scratch)) if isinstance(error, MediaUnsupportedError) else ()
        except TranscodeError:
            made = ()
    took = time.monotonic() - began
    if made:
        return Row(name=name, facts="still image", outcome="thumbnails", good=True, took=took)
    said = getattr(error, "detail", "").replace(str(path), name).replace("|", "/").replace("`", "'")
    detail = textwrap.shorten(said, _MOST_DETAIL, placeholder=" …")
    good = isinstance(error, MediaError) and took < _SOON  # other errors are about this machine, or about mamkit
    return Row(name=name, outcome=f"refused: `{error.code}`", good=good, took=took, notes=detail, refused=True)


def _failed(check: Path, playlist: Path, source: Path) -> list[str]:
    if not check.exists():
        return []
    command = [sys.executable, str(check), str(playlist), "--source", str(source), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    try:
        return list(json.loads(done.stdout)["failed"])
    except (ValueError, KeyError):
        return [done.stderr.strip().rpartition("\n")[2]]


def _facts(info: MediaInfo) -> str:
    found = [info.container.partition(",")[0]]
    for video in info.video[:1]:
        special = [video.hdr or "", "interlaced" if video.interlaced else "", f"turned {video.rotation}°"]
        special += ["variable rate" if video.variable_frame_rate else ""]
        found.append(f"{video.codec} {video.width}x{video.height} {float(video.frame_rate):.4g}/s")
        found += [word for word in special if word not in {"", "turned 0°"}]
    found += [f"{audio.codec} {audio.layout}" for audio in info.audio]
    found += [f"subtitles {words.codec}" for words in info.subtitles]
    return ", ".join(found)


def _outcome(report: Report, failed: list[str]) -> str:
    tracks = [f"{video.name}{' (copied)' if video.copied else ''}" for video in report.plan.video]
    tracks += [audio.name for audio in report.plan.audio]
    tracks += [words.name for words in report.plan.subtitles]
    return ", ".join(tracks) + "".join(f"; **{problem}**" for problem in failed)


def main() -> None:
    """Write the page, and say how many files went well."""
    quick, (folder, page) = sys.argv[1] == "--quick", map(Path, sys.argv[-2:])
    ladder = Ladder(rungs=DEFAULT_LADDER.rungs[:2]) if quick else DEFAULT_LADDER
    found: list[Row] = []
    for row in rows(folder, ladder):
        found.append(row)
        sys.stderr.write(f"{'ok  ' if row.good else 'BAD '} {row.name}: {row.outcome}\n")
    lines = ["| file | what it is | what becomes of it | s in → out | to note | s |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{row.name.replace('|', '/').replace('`', '')}` | {row.facts} | {row.outcome} | {row.lengths} | {row.notes}"
        f" | {row.took:.1f} |"
        for row in found
    ]
    bad = [row.name for row in found if not row.good]
    text = HEAD.format(
        good=len(found) - len(bad),
        all=len(found),
        checked="held against its source by a checker" if _checker(folder).exists() else "not checked further",
        slowest=max((row.took for row in found if row.refused), default=0.0),
        cores=os.cpu_count(),
        sizes="its two smallest sizes" if quick else "all its sizes",
    )
    page.write_text(text + "\n".join(lines) + "\n")
    sys.stderr.write(f"{len(found) - len(bad)} of {len(found)} files went well\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
