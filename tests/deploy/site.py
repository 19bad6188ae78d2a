"""A whole installation of real processes behind the nginx site: two of each service, PostgreSQL, Redis and S3."""

import contextlib
import ipaddress
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mamkit.clock import utc_now
from tests.apps.test_demo import MAMKIT
from tests.deploy.files import DEPLOY
from tests.servers.postgres import free_port

NAMES = ("video.example.com", "edge.example.com")
PATIENCE = 240.0  # seconds for all of it to answer, on a busy machine
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def has_nginx() -> bool:
    """Return whether nginx is installed."""
    return shutil.which("nginx", path=SEARCHED) is not None


SEARCHED = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


@dataclass
class Site:
    """A running site."""

    folder: Path
    https: int
    http: int
    processes: dict[str, "subprocess.Popen[bytes]"]
    ports: Mapping[str, int]
    certificate: Path

    @property
    def log(self) -> str:
        """What nginx has logged."""
        return (self.folder / "access.log").read_text()

    @contextlib.contextmanager
    def client(self, name: str) -> Iterator[httpx.Client]:
        """Give a client for one of the names, which checks the certificate."""
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        transport = _Named(name, httpx.HTTPTransport(verify=trusted))
        with httpx.Client(transport=transport, base_url=f"https://127.0.0.1:{self.https}") as client:
            yield client


class _Named(httpx.BaseTransport):
    """Asks this machine for a site by its name, as its address were in the DNS."""

    def __init__(self, name: str, inner: httpx.HTTPTransport) -> None:
        self._name, self._inner = name, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["host"] = self._name
        request.extensions["sni_hostname"] = self._name
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def certify(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for the names of the site, and return it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mamkit test")])
    names = [*(x509.DNSName(name) for name in NAMES), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "fullchain.pem", folder / "privkey.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def configured(folder: Path, ports: Mapping[str, int], *, https: int, http: int) -> Path:
    """Write the site as it is shipped, with other ports and paths, and return nginx's configuration."""
    certificate, private = certify(folder)
    text = (DEPLOY / "nginx" / "mamkit.conf").read_text("utf-8")
    changes = {
        "127.0.0.1:3000": f"127.0.0.1:{ports['api-1']}",
        "127.0.0.1:3010": f"127.0.0.1:{ports['api-2']}",
        "127.0.0.1:8080": f"127.0.0.1:{ports['edge-1']}",
        "127.0.0.1:8090": f"127.0.0.1:{ports['edge-2']}",
        "listen 443": f"listen 127.0.0.1:{https}",
        "listen 80": f"listen 127.0.0.1:{http}",
        "/etc/mamkit/tls/fullchain.pem": str(certificate),
        "/etc/mamkit/tls/privkey.pem": str(private),
        "/var/log/nginx/mamkit.log": str(folder / "access.log"),
    }
    for shipped, here in changes.items():
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    (folder / "site.conf").write_text(text)
    main = folder / "nginx.conf"
    main.write_text(CONFIGURATION.format(folder=folder))
    return main


@contextlib.contextmanager
def running(folder: Path, settings: Mapping[str, str]) -> Iterator[Site]:
    """Run the site until the block ends.

    Args:
        folder: For everything that is written.
        settings: Of all services; a database that is migrated, and buckets that are there.
    """
    folder.chmod(0o755)
    ports = {name: free_port() for name in ("api-1", "api-2", "edge-1", "edge-2", "worker-1", "worker-2")}
    https, http = free_port(), free_port()
    main = configured(folder, ports, https=https, http=http)
    nginx = shutil.which("nginx", path=SEARCHED)
    assert nginx is not None
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with contextlib.ExitStack() as stack:

        def start(name: str, command: list[str], **more: str) -> None:
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            environment = {**os.environ, **settings, "DATA_DIR": str(folder / "data"), **more}
            processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)

        try:
            for name, port in ports.items():
                service, _, number = name.partition("-")
                inner = {"METRICS_PORT": str(port), "API_URL": f"http://127.0.0.1:{ports[f'api-{number}']}"}
                start(name, [*MAMKIT, service], PORT=str(port), **(inner if service == "worker" else {}))
            start("nginx", [nginx, "-c", str(main), "-p", str(folder)])
            for name, port in ports.items():
                _until_healthy(processes, name, f"http://127.0.0.1:{port}/healthz", folder)
            yield Site(folder, https, http, processes, ports, folder / "fullchain.pem")
        finally:
            for name, process in processes.items():  # nginx ends its workers; the others have nothing to finish
                process.terminate() if name == "nginx" else process.kill()
                process.wait(20)


def _until_healthy(processes: Mapping[str, "subprocess.Popen[bytes]"], name: str, url: str, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert processes[name].poll() is None, (folder / f"{name}.log").read_text()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=2).is_success:
                return
        assert time.monotonic() < deadline, (folder / f"{name}.log").read_text()
        time.sleep(0.1)
