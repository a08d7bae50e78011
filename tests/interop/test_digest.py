"""sipp with a password: MD5 is all that it knows of Digest, and it gives up where anything else comes first."""

from __future__ import annotations

from tests.interop.group import free_ports, serve
from tests.interop.test_clients import CALLS, LIMITS, SCENARIO, CallersCase
from voipshift.sip.auth import Secrets
from voipshift.store import userfile

PASSWORD = "wonderland"
CREDENTIALS = f"Max-Forwards: 70\n      [authentication username=alice password={PASSWORD}]"


def challenged(scenario: str) -> str:
    """The scenario of a caller whose first request is challenged: it acknowledges that, and sends it once more."""
    end = scenario.index("</send>") + len("</send>")
    begin = scenario.index("<send")
    asked = scenario[begin:end]
    ack = scenario[scenario.index("<send>", end) : scenario.index("</send>", end) + len("</send>")]
    ack = ack.replace("[branch-5]", "[branch-3]")
    recv = '<recv response="100" optional="true"/><recv response="407" auth="true"/>'
    return scenario[:begin] + asked + recv + ack + asked.replace("Max-Forwards: 70", CREDENTIALS) + scenario[end:]


class DigestTests(CallersCase):
    """A group that is not open."""

    async def test_100_of_100(self) -> None:
        """407 and then a redirect, whose lease spares the second question."""
        users = {("alice", "voipshift"): Secrets.of("alice", "voipshift", PASSWORD)}
        userfile.write(str(self.folder / "users"), users)
        access = [f'access.users="{self.folder}/users"', "access.trusted=[]", "access.open=false"]
        access += ['access.digest=["MD5"]', 'access.requests_per_second="unlimited"']
        group = await serve(self, free_ports(), LIMITS, *access)
        scenario = challenged(SCENARIO.read_text().replace("sip:caller@", "sip:alice@"))
        # Its own idea of the uri that is signed lacks the user.
        fates = await self.completed(group, scenario, "-auth_uri", f"1234@{group.primary.sip}")
        self.assertGreater(len(fates.redirected), CALLS / 2)
