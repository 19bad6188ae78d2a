"""Alerts and dashboard speak of what the services really say, and every alert has its page."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from mamkit.clock import utc_now
from mamkit.errors import MamkitError
from mamkit.ids import uuid7
from mamkit.jobs import MemoryQueue
from mamkit.previews import Finished, Room
from mamkit.testing.jobs import claimed, new_job
from mamkit.transcode import PartResult
from mamkit_apps.api.asgi import create_app as create_api
from mamkit_apps.api.asgi import prepare
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.edge.asgi import create_app as create_edge
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.worker.metered import MeteredQueue
from mamkit_apps.worker.monitor import metrics_text
from tests.apps.test_backup import fill
from tests.architecture.sources import ROOT, classes
from tests.deploy.files import DEPLOY, documents

FOLDER = DEPLOY / "observability"
PAGE = (ROOT / "docs" / "guides" / "observe.md").read_text("utf-8")
ADDED = {"job", "instance", "service"}  # by Prometheus, to everything
RULES = documents(FOLDER / "alerts.yaml")[0]["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]

Samples = dict[str, list[dict[str, str]]]
"""The labels of every sample, by the metric's name."""


def parsed(text: str) -> Samples:
    """Read a scrape; no sample may stand there twice."""
    found: Samples = {}
    seen = set()
    for family in text_string_to_metric_families(text):
        assert family.documentation
        found.setdefault(family.name + ("_total" if family.type == "counter" else ""), [])
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in seen
            seen.add(key)
            found.setdefault(sample.name, []).append(sample.labels)
    return found


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """What an API, an edge and a worker say after they had something to do."""
    folder = tmp_path_factory.mktemp("said")
    settings = ApiSettings.load(data_dir=folder)
    prepare(settings)
    fill(settings.database, rows=1)  # with a preview that waits
    with TestClient(create_api(settings)) as api:
        api.post("/auth/login", json={"email": "eve@example.com", "password": "a guess or two"})
        api.get("/nothing")
        found = parsed(api.get("/metrics").text)
    with TestClient(create_edge(EdgeSettings.load(data_dir=folder))) as edge:
        edge.get("/s/v1.x/previews/a")
        found |= parsed(edge.get("/metrics").text)
    queue = MeteredQueue(MemoryQueue())
    queue.enqueue(new_job(payload={"part": {"kind": "video"}}), new_job())
    lease = claimed(queue)
    made = PartResult(part=0, inits=(), segments=())
    queue.made(Finished(version_id=uuid7(), job_id=lease.job.id, fence=lease.fence, result=made))
    queue.complete(lease)
    queue.bury(claimed(queue), reason="transcode.no_media: bad")
    return found | parsed(metrics_text(queue, room=Room(), spans=lambda: {"sent": 2, "refused": 1, "dropped": 0}))


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """Return the metrics that an expression asks for, with the labels that it asks them for."""
    found: list[tuple[str, dict[str, str]]] = []

    def visit(node: Any) -> None:
        match type(node).__name__:
            case "VectorSelector":
                labels = {matcher.name: matcher.value for matcher in node.matchers.matchers}
                found.append((node.name, labels))
            case "MatrixSelector":
                visit(node.vector_selector)
            case "Call":
                for argument in node.args:
                    visit(argument)
            case "BinaryExpr":
                visit(node.lhs)
                visit(node.rhs)
            case "AggregateExpr" | "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
                visit(node.expr)

    visit(promql_parser.parse(expression))
    return found


@pytest.mark.parametrize("expression", sorted(set(EXPRESSIONS)))
def test_an_expression_asks_for_what_there_is(expression: str, said: Samples) -> None:
    asked = selectors(expression)
    assert asked
    codes = {each.code for each in classes() if issubclass(each, MamkitError)}
    for name, labels in asked:
        if name == "up":
            continue
        assert name in said, name
        there = set().union(*said[name]) if said[name] else set(re.findall(r"`(\w+)`", row_of(name)))
        assert labels.keys() <= there | ADDED, (name, labels)
        for code in labels.get("code", "").split("|"):
            assert not code or code in codes
        if "outcome" in labels:
            assert labels["outcome"] in {each["outcome"] for each in said[name]}
        if "state" in labels:
            assert labels["state"] in {each["state"] for each in said[name]}
    grouped = re.findall(r"by \(([\w, ]+)\)", expression)
    for label in {label.strip() for group in grouped for label in group.split(",")}:
        assert any(label in labels for name, _ in asked for labels in said[name]), label


def row_of(name: str) -> str:
    [row] = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line]
    return row


def test_the_look_for_metrics_finds_them() -> None:
    asked = selectors('histogram_quantile(0.9, sum by (le) (rate(a_bucket{b="c"}[5m]))) > 1 or -(d / e) < 2')
    assert asked == [("a_bucket", {"b": "c"}), ("d", {}), ("e", {})]


def families_of(samples: Samples) -> set[str]:
    """Return the names of the metrics."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples}


ON_PAGE = set(re.findall(r"`(mamkit_\w+)`", PAGE.partition("## Numbers")[2].partition("## Logs")[0]))


def test_every_number_stands_on_the_page_and_is_looked_at(said: Samples) -> None:
    families = families_of(said)
    assert families == ON_PAGE
    looked_at = {re.sub(r"_(bucket|sum|count)$", "", name) for each in EXPRESSIONS for name, _ in selectors(each)}
    assert looked_at - {"up"} == families


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_page_that_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    section = PAGE.partition(f"### {rule['alert']}\n")[2].partition("\n### ")[0]
    assert "**Look at:**" in section
    assert "**Do:**" in section
    assert rule["annotations"]["runbook_url"].endswith(f"/observe/#{rule['alert'].lower()}")


def test_no_page_is_of_an_alert_that_there_is_not() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_the_dashboard_holds_together() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["source"]
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def test_what_is_scraped_is_what_the_units_serve() -> None:
    [configuration] = documents(FOLDER / "prometheus.yaml")
    jobs = configuration["scrape_configs"][0]["static_configs"]
    ports = {int(target.rpartition(":")[2]) for job in jobs for target in job["targets"]}
    guide = (ROOT / "docs" / "guides" / "deploy.md").read_text("utf-8")
    assert ports == {int(port) for port in re.findall(r"mamkit-(?:api|edge|worker)@(\d+)", guide)}
    assert configuration["rule_files"] == ["alerts.yaml"]


def test_the_api_tells_of_its_database_and_of_previews_that_do_not_move(tmp_path: Path) -> None:
    settings = ApiSettings.load(data_dir=tmp_path / "data")
    prepare(settings)
    with TestClient(create_api(settings)) as api:
        value = value_in(lambda: str(api.get("/metrics").text))
        assert value("mamkit_api_preview_stalled_seconds") == 0
        fill(settings.database, rows=1)  # a preview that was last touched on 2 January 2026
        expected = (utc_now() - timedelta(days=1)).timestamp() - 1767322800
        assert value("mamkit_api_preview_stalled_seconds") > expected
        assert value("mamkit_api_database_up") == 1
        before = value('mamkit_api_requests_total{method="GET",route="/api/health",status="200"}')
        api.get("/api/health")
        assert value('mamkit_api_requests_total{method="GET",route="/api/health",status="200"}') == before + 1
        api.app.state["parts"].catalog.read = broken
        assert value("mamkit_api_database_up") == 0


def broken() -> Any:
    from mamkit.catalog import CatalogUnavailableError

    raise CatalogUnavailableError


def value_in(scrape: Callable[[], str]) -> Callable[[str], float]:
    """Return a function that asks anew for one sample; 0 where it is not there."""
    return lambda name: next(
        (float(line.rpartition(" ")[2]) for line in scrape().splitlines() if line.rpartition(" ")[0] == name), 0.0
    )
