"""Real S3 servers, started on free loopback ports and stopped again: SeaweedFS always, Ceph where it is installed.

SeaweedFS comes as a wheel. `apt-get install radosgw ceph-mon ceph-osd ceph-common` gives the second one, which is
stricter about payload hashes, keeps no SHA-256 and honours fewer conditions.
"""

import json
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3

from mamkit.storage.s3 import Patience, S3Options, S3Store
from mamkit.storage.s3._client import RESERVED

__all__ = [
    "ACCESS_KEY",
    "SECRET_KEY",
    "ceph_server",
    "emptied",
    "filer_of",
    "has_ceph",
    "options_for",
    "store_on",
    "weed_server",
]

ACCESS_KEY, SECRET_KEY = "mamkit", "mamkit-secret-key"
_READY_WITHIN = 60.0  # seconds; a busy machine takes a few
_FILERS: dict[str, str] = {}  # by the endpoint of S3
_ORIGIN = "http://none.invalid"  # SeaweedFS would otherwise answer every origin, asked or not


def free_ports(count: int) -> list[int]:
    """Return ports that are free at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def options_for(endpoint: str, **more: Any) -> S3Options:
    """Return options that reach a server of these tests."""
    patience = more.pop("patience", Patience(connect=5, read=30, attempts=5, backoff=0.05))
    return S3Options(
        endpoint=endpoint,
        region="us-east-1",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        patience=patience,
        **more,
    )


def store_on(endpoint: str, bucket: str, *, locked: bool = False, **more: Any) -> S3Store:
    """Return a store in a bucket, made if need be, with object lock if it is to be `locked`."""
    from mamkit.storage.s3._options import client_of

    client = client_of(options_for(endpoint))
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=locked)
    client.close()
    return S3Store(bucket, options_for(endpoint, **more))


def emptied(store: S3Store, filer: str | None = None) -> S3Store:
    """Return the store without any object.

    Args:
        store: In a bucket that nobody else uses.
        filer: SeaweedFS's own door, through which its folders go too; it keeps them when they are empty, and takes
            one for an object when a write is to be conditional.
    """
    if filer is None:
        for info in list(store.list()):
            store.delete(info.key)
        return store
    folder = f"{filer}/buckets/{store.bucket}/"
    listing = urllib3.request("GET", f"{folder}?limit=10000", headers={"accept": "application/json"})
    entries = listing.json()["Entries"] or []
    for entry in entries:
        name = entry["FullPath"].rpartition("/")[2]
        if name not in {RESERVED.rstrip("/"), ".uploads"}:
            url = f"{folder}{quote(name, safe='')}?recursive=true&ignoreRecursiveError=true"
            urllib3.request("DELETE", url)
    return store


def filer_of(endpoint: str) -> str:
    """Return SeaweedFS's own door, beside that of S3."""
    return _FILERS[endpoint]


@contextmanager
def weed_server(folder: Path) -> Iterator[str]:
    """Run SeaweedFS in a folder and give its endpoint."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "mamkit",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = free_ports(9)
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    command = [
        str(Path(sysconfig.get_path("scripts"), "weed")),
        "-logtostderr=true",
        "mini",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}={port}" for name, port in zip(names, ports, strict=False)),
        f"-s3.port={ports[6]}",
        f"-s3.port.grpc={ports[7]}",
        f"-admin.port={ports[8]}",
        f"-s3.config={folder / 's3.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        f"-s3.allowedOrigins={_ORIGIN}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        "-volume.max=200",
    ]
    endpoint = f"http://127.0.0.1:{ports[6]}"
    _FILERS[endpoint] = f"http://127.0.0.1:{ports[4]}"
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"{endpoint}/healthz", process, folder / "log")
        yield endpoint
    finally:
        process.kill()  # asked politely it takes seconds, and the data is scratch
        process.wait()


def has_ceph() -> bool:
    """Return whether the second server is installed."""
    return all(shutil.which(name) for name in ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool"))


@contextmanager
def ceph_server(folder: Path, *, seconds_a_day: int = -1) -> Iterator[str]:
    """Run one monitor, one object daemon in memory and one gateway in a folder, and give the endpoint.

    Args:
        folder: Of everything it writes.
        seconds_a_day: How long a day of lifecycle rules is; -1 for a real one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    monitor, gateway, *_ = free_ports(2)
    identifier = str(uuid.uuid4())
    config = folder / "ceph.conf"
    config.write_text(_CEPH.format(folder=folder, fsid=identifier, mon=monitor, rgw=gateway, day=seconds_a_day))
    (folder / "keyring").write_text(
        f'[mon.]\n\tkey = {_output("ceph-authtool", "--gen-print-key").strip()}\n\tcaps mon = "allow *"\n'
    )
    for name in ("mon", "osd", "rgw", "run", "crash"):
        (folder / name).mkdir()
    arguments = ("--conf", str(config))
    _output("monmaptool", "--create", "--fsid", identifier, "--addv", "a", f"[v1:127.0.0.1:{monitor}]", folder / "map")
    keyring = folder / "keyring"
    _output("ceph-mon", *arguments, "-i", "a", "--mkfs", "--monmap", folder / "map", "--keyring", keyring)
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("ab"))

        def start(*command: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([*command, *arguments, "-f"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(_kill, process)
            return process

        start("ceph-mon", "-i", "a")
        disk = str(uuid.uuid4())
        _output("ceph", *arguments, "--connect-timeout", "30", "osd", "new", disk)
        _output("ceph-osd", *arguments, "-i", "0", "--mkfs", "--osd-uuid", disk)
        osd = start("ceph-osd", "-i", "0")
        deadline = time.monotonic() + _READY_WITHIN
        while "1 up" not in _output("ceph", *arguments, "--connect-timeout", "30", "osd", "stat"):
            assert time.monotonic() < deadline, "the object daemon does not come up"
            if osd.poll() is not None:  # this version aborts now and then while it starts
                osd = start("ceph-osd", "-i", "0")
            time.sleep(0.1)
        user = ("user", "create", "--uid=mamkit", "--display-name=mamkit")
        _output("radosgw-admin", *arguments, *user, f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}")
        radosgw = start("radosgw", "-n", "client.rgw")
        _wait(f"http://127.0.0.1:{gateway}/", radosgw, folder / "log")
        yield f"http://127.0.0.1:{gateway}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()


def _output(*command: str | Path) -> str:
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120
    ).stdout


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended: {log.read_text()[-2000:]}"
        with suppress(urllib3.exceptions.HTTPError):
            if urllib3.request("GET", url, timeout=5, retries=False).status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer: {log.read_text()[-2000:]}")


_CEPH = """
[global]
fsid = {fsid}
mon_host = v1:127.0.0.1:{mon}
ms_bind_msgr2 = false
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
keyring = {folder}/keyring
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
log_file = {folder}/$name.log
crash_dir = {folder}/crash
setuser_match_path =
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_crush_chooseleaf_type = 0
mon_osd_full_ratio = .99
mon_osd_nearfull_ratio = .98
mon_data_avail_crit = 1
mon_data_avail_warn = 2
mon_data = {folder}/mon
# Without these two the monitor takes seconds to agree with itself.
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{rgw}
rgw_data = {folder}/rgw
rgw_thread_pool_size = 32
rgw_enable_ops_log = false
rgw_enable_usage_log = false
rgw_crypt_require_ssl = false
rgw_lc_debug_interval = {day}
rgw_num_rados_handles = 1
rgw_override_bucket_index_max_shards = 1
rgw_dynamic_resharding = false
"""
