"""The page of the API, which is the one that mamkit brings: for every window, for the eye, for the keyboard."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.apps.people import Site, open_site
from tests.servers.browser import CHROMIUM, Page, browsing

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is on the path to show the page")

OPEN = "document.querySelectorAll('details').forEach(each => each.open = true)"

CUT = """[...document.querySelectorAll('*')]
    .filter(each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== 'inline')
    .map(each => each.outerHTML.slice(0, 100))"""

BROKEN = """[...document.querySelectorAll('dt code, summary b, h2')]
    .filter(each => each.getClientRects().length > 1).map(each => each.outerHTML)"""

# WCAG 2.2, "relative luminance" and "contrast ratio"; the colours of the system are told by an element that has them.
FAINT = """(() => {
  const rgba = text => text.match(/[\\d.]+/g).map(Number);
  const over = (top, below) => {
    const alpha = top[3] ?? 1;
    return [0, 1, 2].map(at => top[at] * alpha + below[at] * (1 - alpha));
  };
  const light = colour => {
    const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const canvas = document.body.appendChild(document.createElement('i'));
  canvas.style.backgroundColor = 'Canvas';
  const page = rgba(getComputedStyle(canvas).backgroundColor);
  const found = new Map();
  for (const each of document.querySelectorAll('body *')) {
    if (![...each.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    let ground = page, opacity = 1;
    const around = [];
    for (let at = each; at !== document.body; at = at.parentElement) around.unshift(at);
    for (const one of around) {
      ground = over(rgba(getComputedStyle(one).backgroundColor), ground);
      opacity *= getComputedStyle(one).opacity;
    }
    const ink = rgba(getComputedStyle(each).color);
    const [a, b] = [light(over([ink[0], ink[1], ink[2], (ink[3] ?? 1) * opacity], ground)), light(ground)];
    found.set(each.tagName, Math.min(found.get(each.tagName) ?? 21, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)));
  }
  return Object.fromEntries(found);
})()"""

FOCUSED = """(() => {
  const at = document.activeElement, style = getComputedStyle(at);
  return [at.tagName, at.getAttribute('href'), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
})()"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def url(site: Site) -> Iterator[str]:
    """Where a browser finds the page and its style, with the headers that the API gives them."""
    answers = {path: site.client.get(path) for path in ("/schema", "/schema/style.css")}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path)
            self.send_response(404 if answer is None else 200)
            for name in ("content-type", "content-security-policy", "x-content-type-options"):
                if answer is not None:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(b"" if answer is None else answer.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/schema"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("browser")) as page:
        yield page


def test_it_shows_all_of_the_api_and_loads_nothing_but_its_style(site: Site) -> None:
    page, document = site.client.get("/schema"), site.client.get("/schema/openapi.json").json()
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
    assert set(re.findall(r'(?:src|href)="([^#"]+)"', page.text)) == {"/schema/style.css", "/schema/openapi.json"}
    assert not re.search(r"<script|<iframe|\son\w+=|style=|javascript:", page.text)
    shown = re.findall(r"<b>([A-Z]+)</b> <code>([^<]+)</code>", page.text)
    there = [(method.upper(), path) for path, item in document["paths"].items() for method in item]
    assert sorted(shown) == sorted(there)
    assert "`" not in page.text  # code is shown as such
    assert site.client.get("/schema/style.css").headers["content-type"].startswith("text/css")


def test_every_group_is_led_to_and_told_of(site: Site) -> None:
    page, document = site.client.get("/schema").text, site.client.get("/schema/openapi.json").json()
    groups = [each["name"] for each in document["tags"]]
    assert re.findall(r'href="#([^"]+)"', page) == sorted(groups)
    assert re.findall(r'<h2 id="([^"]+)">', page) == sorted(groups)
    assert [each["description"] for each in document["tags"] if f"<p>{each['description']}</p>" not in page] == []


def test_no_answer_is_described_in_the_words_of_old_specifications(site: Site) -> None:
    """Such as "Document created, URL follows", where no URL does."""
    document = site.client.get("/schema/openapi.json").json()
    answers = [
        each for item in document["paths"].values() for one in item.values() for each in one["responses"].values()
    ]
    described = {each["description"] for each in answers if "description" in each}
    assert not any("follows" in each or "Redirect" in each for each in described)


@in_a_browser
@pytest.mark.parametrize("width", [320, 768])  # 320: WCAG 2.2, 1.4.10, and 1280 at a zoom of 400 %
def test_nothing_is_cut_off_in_a_window_of_any_width(page: Page, url: str, width: int) -> None:
    page.show(url, width=width).ask(OPEN)
    assert page.ask(CUT) == []
    assert page.ask(BROKEN) == []


@in_a_browser
@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_told_from_what_is_behind_it(page: Page, url: str, dark: bool) -> None:
    page.show(url, dark=dark).ask(OPEN)
    contrasts = page.ask(FAINT)
    assert contrasts.keys() >= {"P", "A", "CODE", "PRE", "SPAN", "SMALL", "DT", "DD"}
    assert {tag: ratio for tag, ratio in contrasts.items() if ratio < 4.5} == {}  # WCAG 2.2, 1.4.3


@in_a_browser
def test_the_keyboard_reaches_everything_in_order_and_one_sees_where(page: Page, url: str) -> None:
    page.show(url)
    met = []
    for _ in range(page.ask("document.querySelectorAll('a').length") + 1):
        page.press("Tab", 9)
        met.append(page.ask(FOCUSED))
    assert [each[1] for each in met[:-1]] == page.ask(
        "[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))"
    )
    assert met[-1][0] == "SUMMARY"
    assert all(seen for _, _, seen in met)
    assert page.ask("document.querySelectorAll('details[open]').length") == 0
    page.press("Enter", 13, "\r")
    assert page.ask("document.querySelector('details').open")
    # WCAG 2.2, 2.5.8: what is pressed is 24 pixels high.
    assert page.ask("Math.min(...[...document.querySelectorAll('nav a, summary')].map(a => a.offsetHeight))") >= 24
