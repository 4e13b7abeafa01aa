"""The built pages, as a reader's browser sees them. Needs _build/html and Chromium."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HTML = Path(os.environ.get("BEHAVIORSEQ_HTML", ROOT / "_build" / "html"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHAPTER = "notebooks/02_1_recommender_systems.html"

pytestmark = pytest.mark.skipif(
    not (HTML / "index.html").exists(), reason="the book is not built: run make book"
)
PAGES = sorted(
    p.relative_to(HTML).as_posix() for p in HTML.rglob("*.html") if "_static" not in p.parts
)


class Links(HTMLParser):
    """Collect the links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {v for name in ("id", "name") if (v := values.get(name))}
        for name in ("href", "src"):
            if values.get(name):
                self.links.add(str(values[name]))


@functools.cache
def page(path: str) -> Links:
    return Links(HTML / path)


@pytest.mark.parametrize("path", PAGES)
def test_every_internal_link_and_anchor_resolves(path: str) -> None:
    broken = []
    for link in page(path).links:
        if urlsplit(link).scheme or link.startswith("//"):
            continue
        target, anchor = urldefrag(unquote(urljoin(path, link)))
        target = target.partition("?")[0] or path
        if not (HTML / target).exists() or (
            target.endswith(".html") and anchor not in page(target).anchors
        ):
            broken.append(link)
    assert not broken


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(HTML))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]  # a partial takes attributes
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Any]:
    """Open a tab that notes requests to other hosts, failed requests, errors of the console."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.faults = []
    tab.on("request", lambda r: tab.faults.append(r.url) if foreign(r.url, address) else None)
    tab.on("response", lambda r: tab.faults.append(r.url) if r.status >= 400 else None)
    tab.on("requestfailed", lambda r: tab.faults.append(r.url))
    tab.on("console", lambda m: tab.faults.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda e: tab.faults.append(str(e)))
    yield tab
    tab.close()


def foreign(url: str, address: str) -> bool:
    return url.startswith(("http", "ws")) and not url.startswith(address)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_read_without_another_host_and_without_errors(
    tab: Any, address: str, path: str
) -> None:
    tab.goto(f"{address}/{path}", wait_until="networkidle")
    assert tab.faults == []


def test_formulas_are_typeset(tab: Any, address: str) -> None:
    tab.goto(f"{address}/{CHAPTER}", wait_until="networkidle")
    tab.wait_for_selector("mjx-container")
    assert tab.locator("mjx-container").count() >= 10
    assert tab.locator("mjx-merror").count() == 0


def test_formulas_may_use_what_mathjax_loads_on_demand(tab: Any, address: str) -> None:
    tab.goto(f"{address}/{CHAPTER}", wait_until="networkidle")
    typeset = "m => MathJax.tex2chtmlPromise(m).then(node => node.outerHTML)"
    shown = tab.evaluate(typeset, r"\boldsymbol{x} + \cancel{y} \coloneqq \bbox{z}")
    assert "mjx-container" in shown
    assert "mjx-merror" not in shown
    assert tab.faults == []


def test_figures_are_numbered_and_referenced(tab: Any, address: str) -> None:
    tab.goto(f"{address}/{CHAPTER}")
    captions = tab.locator("figcaption .caption-number").all_inner_texts()
    assert captions == [f"Fig. {n} " for n in range(1, 5)] or len(set(captions)) == 4
    assert tab.locator("text=Fig. 1").count() >= 2


def test_recorded_numbers_are_the_ones_in_the_prose(tab: Any, address: str) -> None:
    import json

    record = json.loads((ROOT / "_build/records/02_1_recommender_systems.json").read_text())
    tab.goto(f"{address}/{CHAPTER}")
    prose = " ".join(tab.locator("article p, article li").all_inner_texts())
    source = (ROOT / "notebooks/02_1_recommender_systems.ipynb").read_text()
    for number in record["numbers"]:
        if f"`{number['name']}`" in source:
            assert number["shown"] in prose, number


def test_colab_and_edit_links_name_the_original(tab: Any, address: str) -> None:
    repository = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    owner = repository.removeprefix("https://github.com/")
    links = page(CHAPTER).links
    original = "notebooks/02_1_recommender_systems.ipynb"
    assert f"https://colab.research.google.com/github/{owner}/blob/main/{original}" in links
    assert f"{repository}/edit/main/{original}" in links


def test_search_finds_a_word_of_a_chapter(tab: Any, address: str) -> None:
    tab.goto(f"{address}/search.html?q=shrinkage", wait_until="networkidle")
    tab.wait_for_selector("#search-results li a")
    results = tab.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
    assert any(CHAPTER in href for href in results)


def test_solutions_are_folded_and_open(tab: Any, address: str) -> None:
    tab.goto(f"{address}/{CHAPTER}")
    solutions = tab.locator("div.tag_solution details")
    assert solutions.count() == 3
    first = solutions.first
    assert first.get_attribute("open") is None
    first.locator("summary").click()
    assert first.get_attribute("open") is not None


def test_dark_theme_can_be_chosen(tab: Any, address: str) -> None:
    tab.goto(f"{address}/{CHAPTER}")
    themes = set()
    for _ in range(3):
        themes.add(tab.locator("html").get_attribute("data-theme"))
        tab.locator("button.theme-switch-button").first.click()
    assert {"light", "dark"} <= themes


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_shows_pages_without_scrolling_sideways(
    browser: Any, address: str, path: str
) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(f"{address}/{path}", wait_until="networkidle")
    width = phone.evaluate("document.documentElement.scrollWidth")
    phone.close()
    assert width <= 391


def test_no_path_of_the_machine_is_published() -> None:
    for path in PAGES:
        text = (HTML / path).read_text(encoding="utf-8")
        assert not re.search(rf"{re.escape(str(ROOT))}|/home/\w+/", text), path


def test_edit_links_of_prose_pages_name_the_original() -> None:
    repository = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    for path in (p for p in PAGES if p.startswith("book/") and not p.endswith("measured.html")):
        original = path.removesuffix(".html") + ".md"
        assert (ROOT / original).exists()
        assert f"{repository}/edit/main/{original}" in page(path).links


def test_glossary_terms_link_to_their_entries() -> None:
    linked = {
        urldefrag(link).fragment
        for path in PAGES
        for link in page(path).links
        if "#term-" in link and urlsplit(link).path.rpartition("/")[2] in ("", "glossary.html")
    }
    assert len(linked) >= 10
    assert linked <= page("book/glossary.html").anchors
