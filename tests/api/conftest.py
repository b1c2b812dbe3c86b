"""One small served workspace for all tests of the API, with a key of every role."""

import sys
import warnings
from functools import partial
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "person"))

import people

from zhiyin.api.keys import make_key
from zhiyin.api.server import create_app
from zhiyin.govern.roles import ROLES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette asks for another client than the one installed
    from starlette.testclient import TestClient

PAGE = (
    '<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "script-src 'sha256-x'\"><p>a report</p>"
)


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A workspace with two customers, one day of derived tables, and a report."""
    folder = tmp_path_factory.mktemp("api")
    with people.make_shop(folder) as shop:
        people.add_messages(shop)
        people.add_derived(shop)
        (shop.folder / "reports" / "report.html").write_text(PAGE)
        (shop.folder / "reports" / "summary.json").write_text('{"turn_id": "t"}')
        keys = {role: make_key(shop.store, f"a {role}", role, clock=shop.clock) for role in ROLES}
        yield shop, keys


@pytest.fixture(scope="session")
def client(served):
    with TestClient(create_app(served[0].folder), raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="session")
def as_role(client, served):
    """Call a route with the key of a role; without one for `nobody`.

    The client of Starlette goes to the thread of the server seven times a request, this one once.
    """
    transport = httpx.ASGITransport(client.app, raise_app_exceptions=False)
    within = httpx.AsyncClient(transport=transport, base_url=str(client.base_url))

    def call(role, method, path, **options):
        key = served[1].get(role)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        options["headers"] = headers | options.pop("headers", {})
        return client.portal.call(partial(within.request, method, path, **options))

    return call
