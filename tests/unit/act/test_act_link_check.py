"""Links are asked for on a real server before they are sent."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zhiyin.act.link_check import check_links


class Pages(BaseHTTPRequestHandler):
    """`/404` is gone, `/500` is broken, `/get` is there for GET alone, the others are there."""

    def do_HEAD(self):
        self._answer({"/404": 404, "/500": 500, "/get": 405}.get(self.path, 200))

    def do_GET(self):
        self._answer({"/404": 404}.get(self.path, 200))

    def _answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        """Say nothing."""


@pytest.fixture
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_dead_pages_are_reported_and_living_ones_are_not(address):
    pages = {f"{address}/{name}": 1 for name in ("404", "500", "get", "tea?utm_source=a", "豆腐")}
    faults = check_links(pages, private=True)
    assert [(one.url.removeprefix(address), one.problem, one.status) for one in faults] == [
        ("/404", "dead", 404), ("/500", "dead", 500),
    ]  # fmt: skip
