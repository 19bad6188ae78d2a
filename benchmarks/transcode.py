"""`mamkit transcode` beside ffmpeg's own command line: time, quality, codecs, parts, first segment, memory.

Peers are the `ffmpeg` that is found on this machine, with the same x264 settings but the x264 that it is linked with (a
wheel of PyAV has one of its own, and no command line), and other ways of doing our own work. Real pictures are taken
where `MAMKIT_MEDIA_DIR` has them, a moving test card elsewhere. Ratios of times are medians of those of each round.
`--quick` leaves out the codecs, the parts and the command for each rendition.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from benchmarks._films import make_film, repeat
from benchmarks._harness import QUICK_ROUNDS, ROUNDS, Row, alternate, main, paired
from benchmarks._part_worker import Nowhere
from mamkit.transcode import (
    DEFAULT_LADDER,
    UHD_LADDER,
    Children,
    Codec,
    Ladder,
    MediaInfo,
    Part,
    Plan,
    VideoRendition,
    encode_part,
    make_plan,
    probe,
    transcode,
)
from mamkit.transcode.encode import encode_part_here

__all__ = ["rows"]

FFMPEG = shutil.which("ffmpeg")
COPIED = "the largest size copied"
SPLIT, EACH = "ffmpeg, one command with split", "ffmpeg, a command for each rendition"
MISSING = "no ffmpeg on this machine"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took, with its children."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of all processors."""
    memory: int
    """Bytes, of the largest process alone."""


def measure(*commands: Sequence[str]) -> Cost:
    """Run commands one after the other and return what they took together."""
    wall, cpu, memory = 0.0, 0.0, 0
    for command in commands:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"this ended with status {status}: {' '.join(command)}")
        wall += time.perf_counter() - start
        cpu += usage.ru_utime + usage.ru_stime
        memory = max(memory, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    return Cost(wall, cpu, memory)


def rows(quick: bool) -> list[Row]:
    """Measure everything; with `quick` less, on a shorter and smaller film."""
    with tempfile.TemporaryDirectory(prefix="mamkit-bench-") as name:
        folder = Path(name)
        film = make_film(folder / "film.mp4", height=720 if quick else 1080, seconds=8 if quick else 16)
        info = probe(film)
        found = _beside_ffmpeg(film, info, folder, quick=quick)
        if not quick:
            one = make_film(folder / "one.mp4", height=1080, seconds=6)
            two = repeat(one, folder / "two.mp4", seconds=12)  # two equal segments, one for each worker
            found += [*_in_parts(two, folder), *_codecs(one, folder), *_memory(one, folder)]
        return [*found, *_whatever_the_length(folder, quick=quick)]


def _beside_ffmpeg(film: Path, info: MediaInfo, folder: Path, *, quick: bool) -> list[Row]:
    plan, runs = make_plan(info, copy=False), QUICK_ROUNDS if quick else ROUNDS
    out, split, each, copied = (folder / name for name in ("ours", "split", "each", "copied"))
    costs: dict[str, list[Cost]] = {"ours": [], COPIED: [], SPLIT: [], EACH: []}

    def run(name: str, dest: Path, *commands: Sequence[str]) -> Callable[[], float]:
        def once() -> float:
            shutil.rmtree(dest, ignore_errors=True)
            if name in {SPLIT, EACH}:
                dest.mkdir()
            costs[name].append(measure(*commands))
            return costs[name][-1].wall

        return once

    command = [sys.executable, "-m", "mamkit_apps.cli", "transcode", "--no-artwork"]
    ours = run("ours", out, [*command, "--no-copy", str(film), str(out)])
    if FFMPEG is None:
        alternate(runs, ours)
        cost = _median(costs["ours"])
        return [
            Row(name=f"transcode, {what}", ours=value, unit="s", peer=MISSING, target=target)
            for what, value, target in (("wall", cost.wall, "<= 1.00"), ("CPU", cost.cpu, "<= 1.00"))
        ]
    if not make_plan(info).video[0].copied:
        raise SystemExit(f"the film of this benchmark should be one that can be copied: {make_plan(info).notes[0]}")
    peers = [
        run(COPIED, copied, [*command, str(film), str(copied)]),
        run(SPLIT, split, _ffmpeg(FFMPEG, film, split, plan, plan.video)),
    ]
    if not quick:
        commands = (_ffmpeg(FFMPEG, film, each, plan, (rendition,)) for rendition in plan.video)
        peers.append(run(EACH, each, *commands))
    for turn in range(runs):
        for measured in [*peers, ours] if turn % 2 else [ours, *peers]:
            measured()
    ours_and_theirs = costs["ours"], costs[SPLIT]
    return [
        _costs("transcode, wall", *ours_and_theirs, "wall", peer=SPLIT, target="<= 1.00"),
        _costs("transcode, CPU", *ours_and_theirs, "cpu", peer=SPLIT, target="<= 1.00"),
        *(
            []
            if quick
            # These commands keep all processors busy, too, and encode as much: all that they do more is to decode the
            # film again. So only what need not be encoded, which is the default, can take half of their time.
            else [
                _costs("transcode, wall", costs["ours"], costs[EACH], "wall", peer=EACH, target="<= 0.55"),
                _costs("transcode, CPU", costs["ours"], costs[EACH], "cpu", peer=EACH),
                _costs("with a copied top, wall", costs[COPIED], costs[EACH], "wall", peer=EACH, target="<= 0.55"),
            ]
        ),
        _costs("with a copied top, wall", costs[COPIED], costs[SPLIT], "wall", peer=SPLIT, target="<= 0.60"),
        _costs("with a copied top, CPU", costs[COPIED], costs[SPLIT], "cpu", peer=SPLIT),
        Row(
            name="memory of the largest process",
            ours=_median(costs["ours"]).memory / MIB,
            unit="MiB",
            peer=SPLIT,
            peer_value=_median(costs[SPLIT]).memory / MIB,
        ),
        *_qualities(FFMPEG, film, plan, out, split),
    ]


def _costs(
    name: str,
    ours: Sequence[Cost],
    theirs: Sequence[Cost],
    what: Literal["wall", "cpu"],
    *,
    peer: str,
    target: str = "",
) -> Row:
    """Return a row of what two sides took in each round."""
    mine, peers = ([getattr(cost, what) for cost in costs] for costs in (ours, theirs))
    return paired(name, mine, peers, peer=peer, target=target)


def _median(costs: Sequence[Cost]) -> Cost:
    walls, cpus, memories = (sorted(values) for values in zip(*((c.wall, c.cpu, c.memory) for c in costs), strict=True))
    middle = len(costs) // 2
    return Cost(walls[middle], cpus[middle], memories[middle])


def _ffmpeg(ffmpeg: str, film: Path, dest: Path, plan: Plan, renditions: Sequence[VideoRendition]) -> list[str]:
    """Return the command that a person would write for these renditions, to HLS of CMAF segments, sound included."""
    gop = plan.gop_frames
    outputs = "".join(f"[i{n}]" for n in range(len(renditions)))
    graph = f"[0:v]split={len(renditions)}{outputs}"
    options: list[str] = []
    for n, r in enumerate(renditions):
        graph += f";[i{n}]scale={r.width}:{r.height}:flags=bicubic[o{n}]"
        options += ["-map", f"[o{n}]", f"-b:v:{n}", str(r.bit_rate)]
        options += [f"-maxrate:v:{n}", str(r.max_bit_rate), f"-bufsize:v:{n}", str(2 * r.bit_rate)]
    groups = " ".join(f"v:{n},agroup:a" for n in range(len(renditions)))
    sound = len(plan.audio) > 0 and renditions[0] == plan.video[0]  # once, not for each rendition
    if sound:
        audio = plan.audio[0]
        options += ["-map", "0:a:0", "-c:a", "aac", "-ac", str(audio.channels), "-b:a", str(audio.bit_rate)]
        groups += " a:0,agroup:a"
    return [
        ffmpeg, "-nostdin", "-v", "error", "-y", "-i", str(film), "-filter_complex", graph, *options,
        "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high",
        "-x264-params", f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0",
        "-f", "hls", "-hls_time", "6", "-hls_segment_type", "fmp4", "-hls_playlist_type", "vod",
        "-var_stream_map", groups if sound else "v:0", f"{dest}/{renditions[0].name}-%v.m3u8",
    ]  # fmt: skip


def _qualities(ffmpeg: str, film: Path, plan: Plan, ours: Path, theirs: Path) -> list[Row]:
    """Compare what came out, rendition by rendition, with the source scaled to its size."""
    found: list[Row] = []
    for n, rendition in enumerate(plan.video):
        mine = sorted((ours / rendition.name).glob("*.m4s"))
        peer = theirs / f"{plan.video[0].name}-{n}.m3u8"
        named = [theirs / line for line in peer.read_text().splitlines() if line and not line.startswith("#")]
        bits = [8 * sum(path.stat().st_size for path in paths) / float(plan.duration) for paths in (mine, named)]
        quality = [_quality(ffmpeg, path, film, rendition) for path in (ours / rendition.name / "index.m3u8", peer)]
        name = rendition.name
        found += [
            Row(name=f"{name}, bit rate", ours=bits[0] / 1000, unit="kb/s", peer=SPLIT, peer_value=bits[1] / 1000,
                target="<= 1.03"),
            Row(name=f"{name}, SSIM", ours=quality[0][0], unit="dB", peer=SPLIT, peer_value=quality[1][0],
                target=">= 0.99"),
            Row(name=f"{name}, PSNR", ours=quality[0][1], unit="dB", peer=SPLIT, peer_value=quality[1][1],
                target=">= 0.99"),
        ]  # fmt: skip
    return found


def _quality(ffmpeg: str, playlist: Path, film: Path, rendition: VideoRendition) -> tuple[float, float]:
    """Return SSIM and PSNR over all frames and planes, decibels: of an SSIM of s that is -10 log10(1 - s)."""
    graph = (
        f"[1:v]scale={rendition.width}:{rendition.height}:flags=bicubic,settb=1/25,setpts=N,split[r][s];"
        "[0:v]settb=1/25,setpts=N,split[a][b];[a][r]ssim[x];[b][s]psnr[y]"
    )
    command = [ffmpeg, "-nostdin", "-i", str(playlist), "-i", str(film), "-filter_complex", graph]
    done = subprocess.run(
        [*command, "-map", "[x]", "-f", "null", "-", "-map", "[y]", "-f", "null", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ssim, psnr = (
        re.search(r"SSIM .*All:[\d.]+ \(([\d.]+)\)", done.stderr),
        re.search(r"PSNR .*average:([\d.]+)", done.stderr),
    )
    if ssim is None or psnr is None:
        raise SystemExit(f"ffmpeg measured no quality: {done.stderr[-500:]}")
    return float(ssim[1]), float(psnr[1])


def _worker(film: Path, plan: Path, parts: Sequence[int], *, cpu: int | None = None) -> list[str]:
    module = [sys.executable, "-m", "benchmarks._part_worker"]
    return [*module, "-" if cpu is None else str(cpu), str(film), str(plan), *map(str, parts)]


def _in_parts(film: Path, folder: Path) -> list[Row]:
    """Measure what it costs to cut a film into parts of a segment each, and what it gains."""
    info = probe(film)
    whole = _saved(make_plan(info, copy=False), folder / "whole.json", parts=1)
    cut = _saved(make_plan(info, part_segments=1, copy=False), folder / "cut.json")
    video = [part.index for part in cut[0].parts if part.kind == "video"]
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    single: list[Cost] = []
    parted: list[Cost] = []
    together: list[Cost] = []
    middle = len(video) // 2
    for _ in range(ROUNDS):
        single.append(measure(_worker(film, whole[1], [0])))
        parted.append(measure(_worker(film, cut[1], video, cpu=cpus[0] if cpus else None)))
        if len(cpus) > 1:
            halves = zip((video[:middle], video[middle:]), cpus, strict=False)
            wall = _together([_worker(film, cut[1], half, cpu=cpu) for half, cpu in halves])
            together.append(Cost(wall, 0, 0))
    count, name, target = f"{len(video)} parts, CPU", "two workers of one thread, wall", "<= 0.55"
    found = [_costs(count, parted, single, "cpu", peer="one pass over the film", target="<= 1.05")]
    if not together:
        return [*found, Row(name=name, ours=None, unit="s", peer="needs two processors", target=target)]
    return [*found, _costs(name, together, parted, "wall", peer="one worker of one thread", target=target)]


def _codecs(film: Path, folder: Path) -> list[Row]:
    """Measure what HEVC and AV1 cost and what they are worth, in the largest size, beside H.264."""
    if FFMPEG is None:
        return []
    ladder = Ladder(rungs=DEFAULT_LADDER.rungs[-1:])
    found: dict[Codec, tuple[float, float, tuple[float, float]]] = {}
    codecs: tuple[Codec, ...] = ("h264", "hevc", "av1")
    for codec in codecs:
        out = folder / codec
        before = os.times()
        report = transcode(film, out, ladder=ladder, codecs=[codec], copy=False, artwork=False)
        [rendition] = report.plan.video
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        bits = 8 * sum(each.size for each in report.segments if each.rendition == rendition.name)
        playlist = out / rendition.name / "index.m3u8"
        found[codec] = cpu, bits / float(report.plan.duration) / 1000, _quality(FFMPEG, playlist, film, rendition)
    rows: list[Row] = []
    for codec in codecs[1:]:
        (cpu, rate, (ssim, psnr)), (cpu_h264, rate_h264, (ssim_h264, psnr_h264)) = found[codec], found["h264"]
        for what, ours, unit, peer in (
            ("CPU", cpu, "s", cpu_h264), ("bit rate", rate, "kb/s", rate_h264),
            ("SSIM", ssim, "dB", ssim_h264), ("PSNR", psnr, "dB", psnr_h264),
        ):  # fmt: skip
            rows.append(Row(name=f"1080p in {codec}, {what}", ours=ours, unit=unit, peer="H.264", peer_value=peer))
    return rows


def _memory(film: Path, folder: Path) -> list[Row]:
    """State how much memory the child takes for a part in all sizes."""
    large = make_film(folder / "large.mp4", height=2160, seconds=2)
    found: list[Row] = []
    for name, source, ladder in (("1080p", film, DEFAULT_LADDER), ("2160p", large, UHD_LADDER)):
        plan = make_plan(probe(source), copy=False, ladder=ladder)
        saved = _saved(plan, folder / f"memory-{name}.json")[1]
        cost = measure(_worker(source, saved, [0]))
        sizes = f"{len(plan.video)} sizes"
        found.append(Row(name=f"memory of the child, {name}, {sizes}", ours=cost.memory / MIB, unit="MiB", peer=""))
    return found


def _saved(plan: Plan, path: Path, *, parts: int | None = None) -> tuple[Plan, Path]:
    """Write a plan, with all its pictures in one part if that is asked for."""
    if parts == 1:
        plan = plan.model_copy(update={"parts": (Part(index=0, kind="video", start=0, stop=plan.segment_count),)})
    path.write_text(plan.model_dump_json())
    return plan, path


def _together(commands: Sequence[Sequence[str]]) -> float:
    """Run commands at the same time; return the seconds until the last one is done."""
    start = time.perf_counter()
    processes = [subprocess.Popen(command) for command in commands]
    if any(process.wait() for process in processes):
        raise SystemExit("a worker failed")
    return time.perf_counter() - start


def _whatever_the_length(folder: Path, *, quick: bool) -> list[Row]:
    """Show that neither the wait for the first segment nor memory grows with the film."""
    minutes = 5 if quick else 60
    film = make_film(folder / "length.mp4", height=360 if quick else 720, seconds=10)
    short = repeat(film, folder / "short.mp4", seconds=20)
    long = repeat(film, folder / "long.mp4", seconds=60 * minutes)
    found: list[Row] = []
    memory: list[int] = []
    for name, source in (("20 s", short), (f"{minutes} min", long)):
        plan = make_plan(probe(source), part_segments=1, copy=False)
        firsts, own = alternate(1 if quick else ROUNDS, partial(_first, source), partial(_own, source, plan))
        found.append(
            Row(name=f"first segment of a film of {name}", ours=firsts, unit="s",
                peer="its encoding alone", peer_value=own, target="<= 1.3"),
        )  # fmt: skip
        saved = _saved(plan, folder / f"{source.stem}.json")[1]
        last = max(part.index for part in plan.parts if part.kind == "video")
        memory.append(measure(_worker(source, saved, [0, last])).memory)
    found.append(
        Row(name=f"memory of the child, film of {minutes} min", ours=memory[1] / MIB, unit="MiB",
            peer="film of 20 s", peer_value=memory[0] / MIB, target="<= 1.10"),
    )  # fmt: skip
    return found


def _first(source: Path) -> float:
    """Return the seconds from the call until the first segment of all renditions has been handed over."""
    start = time.perf_counter()
    with Children(ahead=False, keep=1) as children:
        plan = make_plan(probe(source, children=children), copy=False)
        encode_part(source, plan, plan.parts[0], Nowhere(), children=children)
        return time.perf_counter() - start


def _own(source: Path, plan: Plan) -> float:
    """Return the seconds that the same segment takes where everything is loaded already."""
    start = time.perf_counter()
    encode_part_here(source, plan, plan.parts[0], Nowhere())
    return time.perf_counter() - start


if __name__ == "__main__":
    main("transcode", rows)
