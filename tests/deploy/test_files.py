"""The files in `deploy/` name settings, commands and ports that there are, and grant nothing that is not used."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.cli import cli
from mamkit_apps.cli.secrets import KEYS, RINGS
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.worker.settings import WorkerSettings
from tests.architecture.sources import ROOT
from tests.deploy.files import DEPLOY, UNITS, app_spec, compose, dockerfile, documents, manifests, unit

SERVICES: dict[str, type[ServiceSettings]] = {"api": ApiSettings, "edge": EdgeSettings, "worker": WorkerSettings}
PORTS = {"api": 3000, "edge": 8080, "worker": 9100}
NOT_OURS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE", "PYTHONUNBUFFERED"}

Use = tuple[str, str, set[str]]
"""Where a service runs, its command, and the environment variables that it is given."""


def uses() -> Iterator[Use]:
    """Yield every place where a command of ours is started."""
    for name, service in compose()["services"].items():
        if service["image"] == "mamkit":
            yield f"compose {name}", shlex.join(service["command"]), set(service["environment"])
    shared = next(each for name, each in manifests() if name == "ConfigMap mamkit-settings")["data"].keys()
    for name, each in manifests():
        if each["kind"] == "Deployment":
            [container] = each["spec"]["template"]["spec"]["containers"]
            yield name, shlex.join(container["args"]), {item["name"] for item in container["env"]} | shared
    spec = app_spec()
    common = {item["key"] for item in spec["envs"]}
    for each in (*spec["services"], *spec["workers"]):
        own = {item["key"] for item in each["envs"]}
        yield f"app {each['name']}", each["run_command"].removeprefix("mamkit "), own | common
    named = set(re.findall(r"^(\w+)=", (DEPLOY / "systemd" / "mamkit.env").read_text(), re.MULTILINE))
    for path in UNITS:
        values = [value for name, value in unit(path) if name == "Environment"]
        given = {word.partition("=")[0] for value in values for word in value.split()}
        [line] = [value for name, value in unit(path) if name == "ExecStart"]
        yield path.name, line.partition("/bin/mamkit ")[2].rstrip("'"), given | named


USES = list(uses())


@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_every_command_and_setting_is_one_that_there_is(use: Use) -> None:
    _, line, given = use
    words = shlex.split(line)
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    assert not isinstance(command, click.Group)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    settings = {name.upper() for each in SERVICES.values() for name in each.model_fields}
    assert {name.removesuffix("_FILE") for name in given - NOT_OURS} <= settings


@pytest.mark.parametrize("use", [use for use in USES if use[1] in SERVICES], ids=lambda use: use[0])
def test_a_service_is_given_the_secrets_that_it_needs_and_no_other(use: Use) -> None:
    _, service, given = use
    secrets = {name.removesuffix("_FILE").lower() for name in given} & {*RINGS, *KEYS}
    assert (
        secrets
        == {
            "api": {*RINGS, *KEYS},
            "edge": {"edge_signing_key"},
            "worker": {"callback_secret"},
        }[service]
    )
    names = {name.removesuffix("_FILE") for name in given}
    assert {"REDIS_URL", "STAGING_BUCKET", "MASTERS_BUCKET", "PREVIEWS_BUCKET"} <= names
    assert service == "edge" or "DATABASE_URL" in names
    reached: dict[str, set[str]] = {"api": {"PUBLIC_URL", "API_URL", "EDGE_URL"}, "edge": set(), "worker": {"API_URL"}}
    assert reached[service] <= names


def test_what_a_unit_sets_for_itself_is_not_undone_by_the_file_of_all() -> None:
    """systemd.exec(5): settings of EnvironmentFile= override those of Environment=."""
    named = set(re.findall(r"^(\w+)=", (DEPLOY / "systemd" / "mamkit.env").read_text(), re.MULTILINE))
    for path in UNITS:
        own = [word.partition("=")[0] for name, value in unit(path) if name == "Environment" for word in value.split()]
        assert not named & set(own), path.name


def test_no_secret_is_written_in_a_file() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            for name in (*RINGS, *KEYS):
                values = re.findall(rf"\b{name.upper()}(?:=|, value: |: )([^\s}},]+)", text)
                assert values == [], path
            for line in re.findall(r".*type: SECRET.*", text):
                assert "value: CHANGE-ME" in line


def test_every_service_has_at_least_two_of_what_is_reached_from_outside() -> None:
    started = [line for where, line, _ in USES if where.startswith("compose")]
    assert (started.count("api"), started.count("edge"), started.count("worker")) == (2, 2, 1)


# Dockerfile


def test_the_image_is_made_in_stages_and_runs_as_nobody_special() -> None:
    instructions = dockerfile()
    stages = {rest.split(" AS ")[1]: number for number, (name, rest) in enumerate(instructions) if name == "FROM"}
    assert list(stages) == ["build", "base", "worker-nvidia", "default"]
    assert instructions[stages["default"]] == ("FROM", "base AS default")  # what is built if nothing is asked for
    last = instructions[stages["base"] :]
    [user] = [rest for name, rest in last if name == "USER"]
    assert user == "10001:10001"
    after = [rest for name, rest in last[last.index(("USER", user)) :] if name in {"RUN", "COPY", "ADD"}]
    assert after == []
    for tool in ("pip", "apt", "gcc", "uv ", "curl"):
        assert all(tool not in rest for name, rest in last if name == "RUN"), tool
    assert not any(name == "ADD" for name, _ in instructions)
    assert all(
        ":latest" not in rest and (":" in rest or "base" in rest) for name, rest in instructions if name == "FROM"
    )


def test_the_image_says_where_it_listens_and_how_it_is() -> None:
    instructions = dict(dockerfile())
    assert [int(port) for port in instructions["EXPOSE"].split()] == list(PORTS.values())
    probe = instructions["HEALTHCHECK"]
    assert all(str(port) in probe for port in PORTS.values())
    code = probe.partition("CMD ")[2]
    compile(json.loads(code)[2], "HEALTHCHECK", "exec")
    assert instructions["ENTRYPOINT"] == '["mamkit"]'
    assert ApiSettings.model_fields["port"].default == PORTS["api"]
    assert EdgeSettings.model_fields["port"].default == PORTS["edge"]


def test_what_the_image_copies_is_there_and_nothing_else_is_sent() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    copied = {
        word for name, rest in dockerfile() if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


# App Platform


def test_the_platform_lets_in_what_is_for_strangers() -> None:
    rules = [(rule["match"]["path"]["prefix"], rule["component"]["name"]) for rule in app_spec()["ingress"]["rules"]]
    assert dict(rules) == {"/schema": "api", "/s": "edge", "/auth": "api", "/api": "api", "/.well-known": "api"}
    for service in app_spec()["services"]:
        assert service["http_port"] == PORTS[service["name"]]
        assert service["health_check"] == {"http_path": "/healthz"}


# Compose


def test_containers_of_ours_may_write_nothing_and_gain_nothing() -> None:
    for name, service in compose()["services"].items():
        if service["image"] != "mamkit":
            continue
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert "cap_add" not in service
        assert "no-new-privileges:true" in service["security_opt"]
        assert "ports" not in service
        assert "privileged" not in service
        assert service["networks"] == ["inside"]


def test_the_composition_holds_together() -> None:
    found = compose()
    services, secrets = found["services"], found["secrets"]
    mounted = set()
    for name, service in services.items():
        mounted |= set(service.get("secrets", []))
        assert set(service.get("networks", [])) <= found["networks"].keys()
        for other, how in service.get("depends_on", {}).items():
            healthy = "healthcheck" in services[other] or services[other]["image"] == "mamkit"
            assert healthy or how["condition"] != "service_healthy", (name, other)
        for variable, value in service.get("environment", {}).items():
            if variable.endswith("_FILE") and str(value).startswith("/run/secrets/"):
                assert value.rpartition("/")[2] in service["secrets"], (name, variable)
    assert mounted == secrets.keys()
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    assert "--appendonly" in services["redis"]["command"]
    assert "noeviction" in services["redis"]["command"]
    assert found["networks"]["inside"]["internal"] is True
    assert (
        services["edge-1"]["environment"]["TRUSTED_PROXIES"]
        == found["networks"]["inside"]["ipam"]["config"][0]["subnet"]
    )


# Kubernetes


@pytest.mark.parametrize(
    ("name", "manifest"), list(manifests()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_manifest_is_what_its_schema_says(name: str, manifest: dict[str, object]) -> None:
    if manifest["kind"] == "ScaledObject":  # KEDA's own, which Kubernetes has no schema of
        assert manifest["apiVersion"] == "keda.sh/v1alpha1"
        return
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_pods_may_do_nothing_that_they_do_not_need() -> None:
    for name, each in manifests():
        if each["kind"] != "Deployment":
            continue
        pod = each["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        assert {"requests", "limits"} <= container["resources"].keys()
        assert {"readinessProbe", "livenessProbe"} <= container.keys()
        service = container["args"][0]
        assert container["ports"][0]["containerPort"] == PORTS[service]
        files = {item["key"] for item in pod["volumes"][0]["secret"]["items"]}
        named = {item["value"].rpartition("/")[2] for item in container["env"] if item["name"].endswith("_FILE")}
        assert files == named


def test_what_refers_to_something_finds_it() -> None:
    found = dict(manifests())
    [kustomization] = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    there = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == there
    for name, each in found.items():
        if each["kind"] == "Ingress":
            for rule in each["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    service = path["backend"]["service"]
                    ports = [port["name"] for port in found[f"Service {service['name']}"]["spec"]["ports"]]
                    assert service["port"]["name"] in ports
                    assert not re.match("/(metrics|api/preview/callback)", path["path"])
        if each["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}:
            assert f"Deployment {each['spec']['scaleTargetRef']['name']}" in found, name


def test_kustomize_builds_it() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which has kustomize, is not installed")
    done = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("image: registry.example.com/mamkit:") == 3


# systemd

NO_SYSTEMD = "systemd-analyze 250 or later is not installed"


def analyze(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, for a mamkit that is there, and templates as one instance."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip(NO_SYSTEMD)
    program = Path(sys.executable).with_name("mamkit")
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text("utf-8").replace("/opt/mamkit/bin/mamkit", str(program))
        (tmp_path / path.name.replace("@.", "@9000.")).write_text(text)
    return tmp_path


def test_systemd_understands_the_units(installed: Path) -> None:
    done = analyze(
        "verify",
        "--man=no",
        *(f"./{path.name}" for path in installed.iterdir() if path.suffix != ".env"),
        cwd=installed,
    )
    ours = [line for line in done.stderr.splitlines() if "mamkit" in line]
    assert done.returncode == 0, done.stderr
    assert ours == []


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_exposed_little(path: Path, installed: Path) -> None:
    """Of 10.0 at most: systemd's own judgement, of which network access alone takes 0.5."""
    name = path.name.replace("@.", "@9000.")
    done = analyze("security", "--offline=true", "--threshold=15", "--no-pager", f"./{name}", cwd=installed)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_units_differ_only_where_they_must() -> None:
    """What is allowed to one alone has its reason here."""
    rules = {
        path.name: {
            name: value
            for name, value in unit(path)
            if re.match("Protect|Restrict|Private|Proc|Memory|System|Cap|Lock|No|UMask", name)
        }
        for path in UNITS
    }
    api = rules["mamkit-api@.service"]
    assert rules["mamkit-edge@.service"] == rules["mamkit-backup.service"] == api
    worker = rules["mamkit-worker@.service"]
    assert {name for name in api.keys() | worker.keys() if api.get(name) != worker.get(name)} == {
        "MemoryDenyWriteExecute",  # scalers of FFmpeg write code
        "ProcSubset",  # encoders look into /proc/cpuinfo
    }
    filters = [
        value for name, value in unit(DEPLOY / "systemd" / "mamkit-worker@.service") if name == "SystemCallFilter"
    ]
    assert filters[0].split()[1:] == ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]
