"""A call is passed on to a member that has accepted it and is not reached any more: another one carries it."""

from __future__ import annotations

import json
import re

from tests.interop.group import VOIPSHIFT
from tests.interop.network import NetworkTestCase

BASE_PORT = 5060
#: Where the first member is for SIP: the group reaches it elsewhere.
LOST = "127.0.0.2"


class UnreachedTests(NetworkTestCase):
    """Three nodes in a network namespace, from which the way to one of them is taken."""

    needs = ("unshare", "nsenter", "ip")

    async def test_another_member_carries_it(self) -> None:
        """The caller hears of no redirect and no refusal, and the one record of the call tells both ways."""
        await self.make_network()
        settings = ["primary.workload.ongoing_calls=0", 'primary.sip.redirect="never"', "calls.watch_interval_s=0"]
        settings += ["policy.cost=-100", "member2.node.cost=1"]  # the first member is asked first
        settings.append(f'member1.sip.listen=[{{ transport = "udp", address = "{LOST}:{BASE_PORT}" }}]')
        settings.append(f'records.store="{self.folder}/records.sqlite"')
        words = [*VOIPSHIFT, "demo", "--serve", "--nodes", "3", "--base-port", str(BASE_PORT)]
        for setting in settings:
            words += ["--set", setting]
        group = self.run_inside(*words)
        serving = json.loads((await group.says(r"^\{.*\}$", patience_s=30.0)).group())
        primary = serving["nodes"][0]
        await self.run_inside("ip", "route", "add", "blackhole", f"{LOST}/32", "table", "local").succeeds()
        call = self.run_inside(*VOIPSHIFT, "call", f"sip:1234@{primary['sip']}", "--hold", "0.1")
        steps = await call.succeeds()
        self.assertEqual(re.findall(r"<- ([2-6]\d\d)", steps), ["200", "200"])

        async def listed() -> bool:
            """Whether the record of who carried it is there, before which there may be that of the primary."""
            calls = self.run_inside(*VOIPSHIFT, "calls", "--config", primary["config"], "--json")
            self.found = [json.loads(line) for line in (await calls.succeeds()).splitlines()]
            return any(found["code"] == 200 for found in self.found)

        await self.until(listed, "the call has the record of its end")
        (record,) = self.found
        self.assertEqual((record["code"], record["accepted"]), (200, "member2"))
        way = [(step["node"], step["reason"]) for step in record["path"]]
        self.assertEqual([node for node, _ in way], ["primary", "member1", "member2"])
        self.assertEqual(way[1][1], "silent")
