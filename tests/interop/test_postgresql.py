"""Records of calls in a real PostgreSQL: the suite of the stores, a server that goes and comes, and a whole group."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from tests.interop.group import VOIPSHIFT, free_ports, serve
from tests.interop.postgresql import PostgresqlTestCase
from tests.records import CALL, REFUSED, RecordStoreTests
from voipshift.errors import ConfigurationError
from voipshift.store.recordpostgresql import PostgresqlRecords, connector
from voipshift.store.recordqueue import RecordQueue
from voipshift.store.recordrow import RecordArchive
from voipshift.store.sqlite import WriteThread


class PostgresqlRecordsTest(RecordStoreTests, PostgresqlTestCase):
    """The suite on PostgreSQL."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.port = free_ports()
        self.server = await self.serve(self.port)

    def store(self) -> RecordArchive:
        store = PostgresqlRecords(connector(self.url(self.port), "records.store", ""))
        self.addCleanup(store.close)
        return store

    async def test_what_is_no_url_of_a_database(self) -> None:
        """One line that names file and key, before anything is started."""
        with self.assertRaises(ConfigurationError) as caught:
            connector("postgresql://[::1/x", "records.store", "node.toml")
        self.assertIn("node.toml: records.store: is no URL of a database", str(caught.exception))

    async def test_two_nodes_make_the_table_at_once(self) -> None:
        """A group that is started for the first time."""
        stores = [self.store() for _ in range(8)]
        made = [deferToThread(store.write, [CALL._replace(node=str(each))]) for each, store in enumerate(stores)]
        for each in made:
            await each
        self.assertEqual(len(self.store().of_call(CALL.call_id)), 8)

    async def test_a_server_that_is_away_loses_nothing(self) -> None:
        """Records wait while it is, and are written when it is back, each once."""
        thread = WriteThread(reactor)
        store = self.store()
        queue = RecordQueue(
            store, "PostgreSQL", clock=reactor, wall=reactor.seconds, in_thread=thread, stop_thread=thread.stop
        )
        queue.keep(CALL)
        await self.until(lambda: queue.counts["written"] == 1, "the first record is written")
        self.server.kill("INT")
        await self.server.ends()
        for number in range(20):
            queue.keep(REFUSED._replace(attempt=f"{number:032x}"))
        await self.until(lambda: bool(queue._retry_s), "the server is missed")
        self.assertEqual(len(queue), 20)
        self.server = await self.serve(self.port)
        await queue.stop()
        self.assertEqual(queue.counts, {"written": 21, "lost": 0})
        self.assertEqual(len(self.store().recent(0.0, 100)), 21)


class GroupTest(PostgresqlTestCase):
    """A group whose nodes keep their records in one server."""

    async def run_voipshift(self, *words: str) -> str:
        return await self.run_program(*VOIPSHIFT, *words).succeeds()

    async def test_a_shifted_call_is_explained(self) -> None:
        """Two calls by hand at a primary that carries one: listed once each, and told hop by hop."""
        base_port = free_ports()
        port = base_port + 980
        await self.serve(port)
        url = self.url(port)
        group = await serve(self, base_port, {"primary": 1, "member1": 5}, f'records.store="{url}"')
        calls = [
            self.run_program(*VOIPSHIFT, "call", f"sip:10{number}@{group.primary.sip}", "--hold", "3")
            for number in range(2)
        ]
        for call in calls:
            await call.succeeds()
        listed: list[dict[str, Any]] = []

        async def both() -> bool:
            words = ("calls", "--config", group.primary.config, "--json")
            listed[:] = map(json.loads, (await self.run_voipshift(*words)).splitlines())
            return len(listed) == 2

        await self.until(both, "both calls are recorded")
        self.assertEqual({each["node"]: each["code"] for each in listed}, {"primary": 200, "member1": 200})
        self.assertTrue(all(2.5 < each["duration_s"] < 5 for each in listed), listed)
        [shifted] = [each for each in listed if each["node"] == "member1"]
        told = await self.run_voipshift("explain", "--config", group.members[0].config, shifted["call_id"])
        self.assertRegex(told, r"1\. primary \(100 % of 1 calls\) had no room, and asked a member")
        self.assertRegex(told, r"2\. member1 \(20 % of 5 calls\) accepted: it was below its threshold")
        self.assertRegex(told, r"primary: 302, shifted to member1 after \d+ ms\n  member1: 200, sent to 127\.0\.0\.1:")
