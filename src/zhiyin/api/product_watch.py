"""From products as they are loaded to the lists of requests, seconds later.

A turn publishes products with everything else that requests look up. What a load says between two
turns, prices and what is left of a product, must not wait for the next one: a thread of each
server looks whether table `products` has another version and hands its rows to the door.
"""

from __future__ import annotations

from threading import Event, Thread

from zhiyin.app import Workspace
from zhiyin.core.log import get_logger
from zhiyin.understand.recommend.catalogue import COLUMNS
from zhiyin.understand.recommend.live import Door

LOOK_S = 2.0
"""Between two looks at the table."""
TABLE = "products"


class ProductWatch:
    """Keeps the products of one server's door as they were loaded last."""

    def __init__(self, shop: Workspace, door: Door) -> None:
        self._shop = shop
        self._door = door
        self._seen: int | None = None
        self._stop = Event()
        self._thread = Thread(target=self._work, name="zhiyin-products", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Hand over the products where they are others than before; whether they were."""
        if self._shop.store.online.number() is None:  # nothing is recommended here
            return False
        handle = self._shop.store.lake.open(TABLE)
        if handle is None or handle.version() == self._seen:
            return False
        version = handle.version()
        store = self._shop.store.pinned({TABLE: version})
        self._door.renew(store.read(TABLE).select(*COLUMNS).to_pyarrow())
        self._seen = version
        return True

    def _work(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the thread's outermost shell; it looks again
                get_logger().error("products cannot be looked at: %s", type(error).__name__)
            if self._stop.wait(LOOK_S):
                return
