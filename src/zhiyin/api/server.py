"""The app of one workspace, and the process that serves it with a worker beside it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from zhiyin import __version__
from zhiyin.api import (
    audiences,
    campaigns,
    candidates,
    catalog,
    chats,
    consents,
    decisions,
    hooks,
    identity,
    indicators,
    jobs,
    journeys,
    lists,
    models,
    pages,
    personas,
    plans,
    preferences,
    reactions,
    receipts,
    returned,
    reviews,
    surveys,
    tables,
    tags,
    tasks,
    tracker,
    unsubscribe,
)
from zhiyin.api.access import add_routes
from zhiyin.api.collector import Collector
from zhiyin.api.decide import Decisions
from zhiyin.api.decide_openapi import describe_decide
from zhiyin.api.errors import handle_errors
from zhiyin.api.keys import has_keys
from zhiyin.api.live_reads import LiveReads
from zhiyin.api.point_watch import PointWatch
from zhiyin.api.processes import (
    servers_beside,
    stop_with_parent,
    stoppable,
    worker_beside,
)
from zhiyin.api.product_watch import ProductWatch
from zhiyin.api.rates import Rates
from zhiyin.api.recommend import Recommendations
from zhiyin.api.recommend_openapi import describe_recommend
from zhiyin.api.shell import Shell
from zhiyin.api.tracking_openapi import describe_tracking
from zhiyin.api.watcher import Watcher
from zhiyin.app import Workspace
from zhiyin.core.clock import Clock, SystemClock
from zhiyin.core.errors import ConfigError
from zhiyin.core.log import get_logger
from zhiyin.store.vault import open_segment_keys

ROUTES = (
    *pages.ROUTES, *tables.ROUTES, *jobs.ROUTES, *unsubscribe.ROUTES, *hooks.ROUTES,
    *catalog.ROUTES, *tracker.ROUTES, *identity.ROUTES, *plans.ROUTES, *audiences.ROUTES,
    *journeys.ROUTES, *decisions.ROUTES, *candidates.ROUTES, *reviews.ROUTES,
    *models.ROUTES, *tags.ROUTES, *personas.ROUTES, *consents.ROUTES,
    *campaigns.ROUTES, *lists.ROUTES, *preferences.ROUTES, *reactions.ROUTES, *returned.ROUTES,
    *chats.ROUTES, *receipts.ROUTES, *tasks.ROUTES, *indicators.ROUTES, *surveys.ROUTES,
)  # fmt: skip


def create_app(folder: Path, *, clock: Clock | None = None) -> Front:
    """The API of the workspace in `folder`. It writes events, jobs, refusals, suppressions,
    merges and tracking plans.

    Every request reads the lake at the versions it finds when it begins.

    Raises
    ------
    WorkspaceError
        If there is no workspace.
    """
    shop = Workspace.open(folder, clock=clock)
    keys = open_segment_keys(folder / "keys")
    watcher = Watcher(shop.store.online, shop.vault, clock=shop.clock, numbers=shop.store.numbers)
    collector = Collector(
        folder, shop.store.ledger, keys, clock=clock or SystemClock(), tell=watcher.tell
    )

    reads = LiveReads(shop)
    recommendations = Recommendations(shop, collector.journal, reads)
    choices = Decisions(shop, collector.journal, reads)
    products = ProductWatch(shop, recommendations.door)
    points = PointWatch(shop, choices.door)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        products.start()
        points.start()
        yield
        products.close()
        points.close()
        await collector.close()
        await watcher.close()
        choices.close()
        reads.close()
        shop.close()

    app = FastAPI(
        title="Zhiyin",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=[Middleware(Shell)],
    )
    app.state.workspace = shop
    app.state.rates = Rates(clock or SystemClock())
    handle_errors(app)
    add_routes(app, ROUTES)
    describe_tracking(app)
    describe_recommend(app)
    describe_decide(app)
    return Front(app, (collector, recommendations, choices), choices, watcher, products, points)


class Front:
    """The whole app: what is called most goes straight to its own app, the rest to FastAPI."""

    def __init__(
        self,
        app: FastAPI,
        straight: tuple[Collector | Recommendations | Decisions, ...],
        choices: Decisions,
        watcher: Watcher,
        products: ProductWatch,
        points: PointWatch,
    ) -> None:
        self.app = app
        self.products = products
        self.points = points
        self.choices = choices
        self.watcher = watcher
        self._straight = straight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request on."""
        if scope["type"] == "http":
            for one in self._straight:
                if one.takes(scope["path"]):
                    await one(scope, receive, send)
                    return
        await self.app(scope, receive, send)


def serve_workspace(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    with_worker: bool = True,
    processes: int = 1,
    listening: int | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve the workspace until SIGTERM or Ctrl-C, then stop the worker too.

    Parameters
    ----------
    port
        0: any free one.
    processes
        Server processes on the same address, each with a journal segment of its own.
    listening
        File descriptor of a socket that a parent process listens on; then nothing else is
        started, and it stops with its parent.
    announce
        Called with sentences for the person who started it; none: they are logged.

    Raises
    ------
    ConfigError
        If the address cannot be listened on.
    """
    say = announce or get_logger().info
    app = create_app(folder)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="on"
    )
    if listening is not None:
        stop_with_parent()
        with socket.socket(fileno=listening) as shared:
            uvicorn.Server(config).run(sockets=[shared])
        return
    try:
        own = socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on: {error.strerror}", hint="choose another --port"
        ) from error
    more = servers_beside(folder, own, count=processes - 1)
    with own, stoppable(), worker_beside(folder, wanted=with_worker), more:
        say(f"Zhiyin serves {folder} on http://{host}:{own.getsockname()[1]}")
        if not has_keys(app.app.state.workspace.store):
            say("there is no API key yet: zhiyin key NAME --role viewer")
        uvicorn.Server(config).run(sockets=[own])
