"""A collector behind a gate, a shop's site, and Debian's Chromium, once for all client tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from client_collector import Collector
from client_wire import WAIT_S, Gate, Site, acknowledged, serving

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SNIPPET = """<!doctype html><html lang="en"><head><title>%(title)s</title>
<script>
  window.zhiyin = window.zhiyin || function () {
    (zhiyin.q = zhiyin.q || []).push([Date.now(), arguments]);
  };
  zhiyin('init', %(key)s, %(options)s);
  %(calls)s
</script>
<script async src="%(gate)s/zhiyin.js"></script>
</head><body>A shop</body></html>"""


@pytest.fixture(scope="session")
def collector(tmp_path_factory):
    """The collector that everything ends in."""
    made = Collector(tmp_path_factory.mktemp("clients") / "shop")
    yield made
    made.stop()


@pytest.fixture
def gate(collector):
    """A gate of its own for every test: what a closed browser still sends does not mix in."""
    app = Gate(collector.url)
    with serving(app, "127.0.0.1"):
        yield app
    collector.acknowledged |= set(acknowledged(app.sent()))


@pytest.fixture(scope="session")
def site():
    app = Site(HERE / "node_modules" / "@segment" / "analytics-next" / "dist" / "umd")
    with serving(app, "localhost"):
        yield app


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """One browser profile at the shop."""

    context: object
    site: Site
    gate: Gate
    write_key: str

    def open(self, path="/", *, title="Shop", calls="", page=None, wait=True, **options):
        """Open a page of the shop that has the tracker with these options."""
        where, _, _ = path.partition("?")
        self.site.pages[where.partition("#")[0]] = SNIPPET % {
            "title": title,
            "key": json.dumps(self.write_key),
            "options": json.dumps(options),
            "calls": calls,
            "gate": self.gate.url,
        }
        page = page or self.context.new_page()
        page.goto(self.site.url + path)
        if wait:
            page.wait_for_function("window.zhiyin && !window.zhiyin.q")
        return page

    def kept(self, page):
        """Everything that the site has in this browser: storage items and cookies."""
        items = page.evaluate("({...localStorage, ...sessionStorage})")
        names = page.evaluate("indexedDB.databases().then((all) => all.map((one) => one.name))")
        cookies = {one["name"]: one["value"] for one in self.context.cookies()}
        return {**items, **cookies, **dict.fromkeys(names)}


@pytest.fixture
def visitor(chromium, site, gate, collector):
    """A new browser profile; the page's own errors fail the test."""
    context = chromium.new_context()
    context.set_default_timeout(WAIT_S * 1000)
    errors = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield Visitor(context, site, gate, collector.browser_key)
    context.close()
    assert errors == []


@pytest.fixture
def node(gate, collector):
    """Run a script of this folder in Node with the collector's address and key."""

    def run(script, **settings):
        environment = {**os.environ, "HOST": gate.url, **settings}
        environment["WRITE_KEY"] = collector.server_key
        done = subprocess.run(
            ["node", HERE / script],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
