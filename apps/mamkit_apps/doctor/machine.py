"""Checks of this machine: settings, secrets, folders, room, what a process may open, and the encoder by trial."""

import difflib
import os
import resource
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mamkit_apps.doctor.findings import Check, Finding, Patient, failed, ok, skipped, warning
from mamkit_apps.settings import SettingsError
from mamkit_apps.supervisor import SETTINGS
from mamkit_apps.terminal import bytes_text

__all__ = ["CHECKS"]

ALIKE = 0.85  # of difflib's ratio: `DATABSE_URL` is meant for `DATABASE_URL`, and `PORT` for nothing else
PLENTY = 10  # times the least room; below it a warning says that it will run out
FEW_DIFFERENT = 10  # characters; 32 random bytes in base64 have some 30 different ones
OPEN_FILES = 4096  # EDGE_STREAMS' default; each stream has a connection, and may have a file
RINGS = ("edge_signing_key", "jwt_secret", "sealing_keys")
KEYS = ("session_secret", "callback_secret")


def settings(patient: Patient) -> Finding:
    """Every setting has a value that can be used, and no name is misspelt."""
    if patient.faults:
        return failed("; ".join(patient.faults), "correct it; docs/reference/settings.md says what each takes")
    for name in sorted(name for name in os.environ if not name.startswith("OTEL_")):  # of those, most are of others
        meant = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=ALIKE)
        if meant and name not in SETTINGS and "_" in name:
            return warning(f"{name} is set and means nothing here", f"if {meant[0]} is meant, rename it")
    there = sum(name in os.environ for name in SETTINGS)
    return ok(f"{there} of {len(SETTINGS) // 2} set, {'embedded' if patient.embedded else 'distributed'}")


def python(_: Patient) -> Finding:
    """The interpreter and its SQLite are new enough."""
    versions = f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < (3, 35):  # RETURNING
        return failed(versions, "use a Python with SQLite 3.35 or later")
    return ok(versions)


def secrets(patient: Patient) -> Finding:
    """Every secret is there, strong, and none serves two purposes."""
    api, edge = patient.api, patient.edge
    if api is None or edge is None:
        return skipped("the settings cannot be used")
    names = [*RINGS, *KEYS]
    seen: dict[str, str] = {}
    made = 0
    for name in names:
        given = getattr(api, name)
        if given is None and patient.embedded and not (api.data_dir / "secrets" / name).exists():
            made += 1  # the first start makes it; looking must not
            continue
        try:
            if name in RINGS:
                api.ring(name)
            value = api.secret(name).get_secret_value()
        except SettingsError as error:
            return failed(str(error), "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'")
        if len(set(value)) < FEW_DIFFERENT:
            return failed(
                f"{name.upper()}: can be guessed",
                "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'",
            )
        if value in seen:
            return warning(
                f"{name.upper()} and {seen[value].upper()} are the same", "give each purpose a secret of its own"
            )
        seen[value] = name
    return ok(f"{len(names) - made} in place" + (f", {made} to be made by the first start" if made else ""))


def secret_files(patient: Patient) -> Finding:
    """No file with a secret can be read by others."""
    folder = patient.shared().data_dir / "secrets"
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    files += [Path(path) for name, path in os.environ.items() if name in SETTINGS and name.endswith("_FILE")]
    for path in files:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077 and path.is_relative_to(folder):
            return failed(f"{path} has mode {mode:04o}", f"chmod 600 {path}")
        if mode & 0o007:  # a mounted secret often belongs to a group that the process is in
            return warning(f"{path} can be read by everybody (mode {mode:04o})", f"chmod o= {path}")
        if not os.access(path, os.R_OK):
            return failed(f"{path} cannot be read by this user", f"chown {os.geteuid()} {path}")
    return ok(f"{len(files)} files, readable by their owner") if files else skipped("no secret is in a file")


def data_dir(patient: Patient) -> Finding:
    """The data folder can be written, and others cannot look into it."""
    folder = patient.shared().data_dir.absolute()
    if not folder.exists():
        above = next(parent for parent in folder.parents if parent.exists())
        if not os.access(above, os.W_OK | os.X_OK):
            return failed(f"{folder} is not there and {above} cannot be written", f"make {folder} for this user")
        return skipped(f"{folder} is not there yet; the first start makes it")
    if not folder.is_dir():
        return failed(f"{folder} is not a folder", "name another one with DATA_DIR")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return failed(f"{folder} cannot be written: {error.strerror}", f"chown -R {os.geteuid()} {folder}")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o007:
        return warning(f"{folder} is open to everybody (mode {mode:04o})", f"chmod 700 {folder}")
    return ok(f"{folder}, mode {mode:04o}")


def disk(patient: Patient) -> Finding:
    """There is room for data: database, objects and logs."""
    folder = patient.shared().data_dir.absolute()
    return _room(patient, next(path for path in (folder, *folder.parents) if path.exists()))


def scratch(patient: Patient) -> Finding:
    """There is room where workers put the master that they encode."""
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError:
        return failed("there is no folder for temporary files", "name one that can be written with TMPDIR")
    return _room(patient, folder)


def _room(patient: Patient, folder: Path) -> Finding:
    usage, files = shutil.disk_usage(folder), os.statvfs(folder)
    free = f"{bytes_text(usage.free)} of {bytes_text(usage.total)} free at {folder}"
    least = bytes_text(patient.least_room)
    if usage.free < patient.least_room:
        return failed(f"{free}; {least} must be", "free some, or move it to a larger disk")
    if files.f_files and files.f_favail < files.f_files // 100:
        return failed(
            f"{files.f_favail} of {files.f_files} inodes free at {folder}", "remove small files, or enlarge it"
        )
    if usage.free < PLENTY * patient.least_room:
        return warning(free, "a film takes about three times its size while it is being prepared; make room in time")
    return ok(free)


def open_files(_: Patient) -> Finding:
    """A process may have as many files open as the edge has streams."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        return warning(f"{hard} files at most", "raise it: LimitNOFILE= in the unit, --ulimit nofile= of the container")
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        return warning(f"{soft} files, {hard} if asked for", f"ulimit -n {OPEN_FILES} before the edge, or LimitNOFILE=")
    return ok(f"{'any number of' if soft == resource.RLIM_INFINITY else soft} files")


def encoder(_: Patient) -> Finding:
    """A film can be probed and encoded, in the contained child as any stranger's."""
    from mamkit.transcode import Limits, transcode  # noqa: PLC0415 - FFmpeg, which no other check needs
    from mamkit_apps.demo.clip import make_clip  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="mamkit-doctor-") as folder:
        film = Path(folder, "trial.mp4")
        make_clip(film, seconds=1, size=(256, 144))
        report = transcode(film, Path(folder, "out"), artwork=False, limits=Limits())
    names = ", ".join(sorted({init.codecs for init in report.inits}))
    return ok(f"{len(report.segments)} segments in a contained child: {names}")


_HAVE_LANDLOCK = "use Linux 5.13 or later with landlock in the lsm= list"
_ALLOW_SECCOMP = "use Linux on x86-64 or arm64, in a container whose profile allows seccomp"


def confinement(_: Patient) -> Finding:
    """The kernel keeps the child that opens strangers' files away from other files, processes and the network."""
    from mamkit.transcode.containment.confinement import confinement as strength  # noqa: PLC0415 - needs the extra

    match strength():
        case "network":
            return ok("Landlock and seccomp: no other file, no network and no other process")
        case "files":
            return warning(
                "Landlock keeps files away; no seccomp: processes and UDP are open to the child", _ALLOW_SECCOMP
            )
        case "processes":
            return warning(
                "seccomp keeps the network and other processes away; no Landlock: files are open to the child",
                _HAVE_LANDLOCK,
            )
        case _:
            return warning(
                "no Landlock and no seccomp: the child is bounded in memory and time alone",
                f"{_HAVE_LANDLOCK}; {_ALLOW_SECCOMP}; or a container without network for workers",
            )


def site(patient: Patient) -> Finding:
    """What strangers reach is reached by HTTPS, and cookies are for HTTPS alone."""
    if patient.api is None or patient.edge is None:
        return skipped("the settings cannot be used")
    urls = {name: str(getattr(patient.api, name)) for name in ("public_url", "api_url", "edge_url")}
    plain = {name.upper(): url for name, url in urls.items() if url.startswith("http://") and not _loopback(url)}
    if plain:
        name, url = next(iter(plain.items()))
        return warning(
            f"{name} is {url}, over an open line", "put TLS in front (docs/guides/deploy.md) and write https://"
        )
    if not patient.edge.edge_cookie_secure and not _loopback(urls["edge_url"]):
        return warning("EDGE_COOKIE_SECURE is false", "leave it true wherever players come over the network")
    return ok(", ".join(dict.fromkeys(urls.values())))


def _loopback(url: str) -> bool:
    host = url.partition("://")[2].partition("/")[0].rpartition(":")[0]
    return host in {"localhost", "[::1]"} or host.startswith("127.")


CHECKS: Sequence[Check] = (
    settings, python, secrets, secret_files, data_dir, disk, scratch, open_files, confinement, encoder, site,
)  # fmt: skip
"""The checks of this module, in the order in which they are told."""
