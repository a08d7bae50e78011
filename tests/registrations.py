"""What tests of registrations and of access share: a node with a registrar and users, a phone that has a password."""

from __future__ import annotations

import os
from typing import Any

from tests.locations import sqlite_at_once
from tests.sipnet import HERE, Peer, SipNetTestCase
from voipshift import config, tap
from voipshift.node import Address
from voipshift.sip import digest
from voipshift.sip.auth import Secrets
from voipshift.sip.digest import Credentials
from voipshift.sip.message import Request, Response
from voipshift.store.sqlite import SqliteStore
from voipshift.wiring import reception

REALM = "voipshift"
PASSWORD = "wonder land"


def authorized(
    asked: Request,
    challenge: Response,
    *,
    username: str = "alice",
    password: str = PASSWORD,
    number: int = 2,
    count: int = 1,
    which: int = 0,
) -> Request:
    """The same request once more, with the credentials that a challenge asks for.

    :param which: which of the challenges is answered
    """
    name = "WWW-Authenticate" if challenge.status == 401 else "Proxy-Authenticate"
    said = [line.partition(": ")[2] for key, line in challenge.fields if key == name.lower()][which]
    nonce = said.partition('nonce="')[2].partition('"')[0]
    algorithm = said.partition("algorithm=")[2].partition(",")[0]
    again = asked.copy()
    credentials = Credentials(username, REALM, nonce, again.uri, "", algorithm, "c", f"{count:08x}")
    secret = digest.secret(username, REALM, password, algorithm)
    response = digest.response(secret, credentials, again.method)
    value = (
        f'Digest username="{username}", realm="{REALM}", nonce="{nonce}", uri="{again.uri}", response="{response}", '
        f'algorithm={algorithm}, cnonce="c", qop=auth, nc={count:08x}'
    )
    again.set("Authorization" if challenge.status == 401 else "Proxy-Authorization", value)
    again.set("CSeq", f"{number} {again.method}")
    again.set("Via", f"{again.get('Via')}".replace("branch=z9hG4bK", f"branch=z9hG4bKa{number}x{count}"))
    return again


class RegistrarTestCase(SipNetTestCase):
    """Nodes with a registrar; all share one file, as the nodes of one machine do."""

    def setUp(self) -> None:
        super().setUp()
        self.file = os.path.abspath(self.mktemp())
        self.store = sqlite_at_once(self.file)
        self.store.start()
        self.addCleanup(self.store.stop)
        self.patch(reception, "open_store", self.open_store)

    def open_store(self, settings: config.Settings, reactor: Any) -> SqliteStore | None:
        """In place of reception's: one that needs no thread."""
        return None if settings.registrar is None else sqlite_at_once(self.file)

    def registrar(self, *places: Address, name: str = "here", **access: Any) -> tap.Node:
        """A node that serves REGISTER; its users are in the store, and nobody is trusted unless said otherwise."""
        access.setdefault("users", "store")
        return self.node(
            *places, name=name, access=config.AccessSettings(**access), registrar=config.RegistrarSettings()
        )

    def user(self, name: str = "alice", password: str = PASSWORD) -> None:
        """Add a user."""
        self.successResultOf(self.store.put(name, Secrets.of(name, REALM, password)))

    def register(self, phone: Peer, to: Address = HERE, **more: Any) -> Request:
        """Let a phone send a REGISTER of its user."""
        sender = f"<sip:{phone.user}@192.0.2.1>"
        more.setdefault("call_id", f"register-{phone.user}")
        asked = phone.request("REGISTER", "sip:192.0.2.1", sender=f"{sender};tag=1", to=sender, **more)
        phone.say(asked, to)
        return asked

    def contacts(self, user: str) -> list[str]:
        """Where a user is registered."""
        return [binding.contact for binding in self.successResultOf(self.store.find(user))]
