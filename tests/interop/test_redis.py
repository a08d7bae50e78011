"""Bindings and users in a real Redis server: the suite that SQLite has, and what only a server can do."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks

from tests.interop.case import InteropTestCase
from tests.interop.group import free_ports
from tests.interop.program import Program
from tests.locations import ALICE, DESK, StoreTests, with_binding
from voipshift.demo.plan import LOOPBACK
from voipshift.store.redis import RedisStore, connector


class RedisStoreTest(StoreTests, InteropTestCase):
    """The suite on Redis."""

    needs = ("redis-server",)

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.port = free_ports()
        self.server = await self.serve()

    async def serve(self) -> Program:
        """Start the server."""
        words = ("--port", str(self.port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no")
        server = self.run_program("redis-server", *words)
        await server.says("Ready to accept connections")
        return server

    def store(self, realm: str = "voipshift") -> Any:
        connect = connector(f"redis://{LOOPBACK}:{self.port}/3", "registrar.location", "")
        store = RedisStore(connect, realm, reactor)
        store.start()
        self.addCleanup(store.stop)
        return store

    @inlineCallbacks
    def test_bindings_go_when_the_last_one_expires(self) -> Any:
        """Redis drops them by itself: nobody need look for those that are over."""
        store = self.store()
        now = reactor.seconds()
        yield store.change("alice", with_binding(DESK._replace(expires=now + 0.2)))
        yield store.change("bob", with_binding(ALICE))

        async def gone() -> bool:
            return bool(await store.find("alice") == ())

        yield Deferred.fromCoroutine(self.until(gone, "the binding is gone"))
        self.assertEqual((yield store.find("bob")), (ALICE,))

    async def test_a_server_that_comes_back_is_found(self) -> None:
        """While it is away each question fails in time; then they are answered again."""
        store = self.store()
        await store.find("alice")
        await self.server.close()
        with self.assertRaises(Exception):  # noqa: B017 whichever way it notices
            await store.find("alice")
        await self.serve()

        async def back() -> bool:
            try:
                return bool(await store.find("alice") == ())
            except Exception:
                return False

        await self.until(back, "the server is found again")
