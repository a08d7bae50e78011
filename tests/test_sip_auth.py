"""Digest: RFC 7616's examples, RFC 8760's order, and nonces that a whole group knows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift.group.keys import Keys
from voipshift.sip import digest
from voipshift.sip.auth import Authenticator, Party, Secrets, Verdict
from voipshift.sip.digest import Credentials
from voipshift.sip.message import Request, request
from voipshift.sip.nonces import LIFETIME_S, Nonces, Standing

#: RFC 7616 section 3.9.1.
MUFASA = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{response}", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
RESPONSES = {
    "MD5": "8ca523f5e9506fed4657c9700eebdbec",
    "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
}
REALM = "voipshift"
URI = "sip:bob@192.0.2.1"
ALICE = Secrets.of("alice", REALM, "wonder land")


class DigestTest(SynchronousTestCase):
    """The arithmetic, and the fields as they are written."""

    def test_the_examples_of_rfc_7616(self) -> None:
        """Section 3.9.1: both algorithms."""
        for algorithm, response in RESPONSES.items():
            said = digest.read(MUFASA.format(algorithm=algorithm, response=response))
            assert said is not None
            secret = digest.secret("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
            self.assertEqual(digest.response(secret, said, "GET"), response)
            self.assertEqual(said.response, response)

    def test_what_is_read(self) -> None:
        """Quoted or not, in any order and case, commas and equals signs inside; MD5 where no algorithm is named."""
        said = digest.read(
            ' DIGEST response="AB",NC=0000000a , QOP="auth", cnonce="a,b=c",nonce="n==",  realm="a b",'
            'username="bob",uri="sip:x;y=z",unknown=1'.strip()
        )
        self.assertEqual(said, Credentials("bob", "a b", "n==", "sip:x;y=z", "ab", "MD5", "a,b=c", "0000000a"))

    def test_what_is_no_credentials(self) -> None:
        """Another scheme, no qop, auth-int, a nonce count that is none, something missing, too long."""
        good = MUFASA.format(algorithm="MD5", response="0")
        self.assertIsNotNone(digest.read(good))
        for bad in (
            "",
            "Digest",
            "Basic dXNlcjpwYXNz",
            good.replace("qop=auth, ", ""),
            good.replace("qop=auth", "qop=auth-int"),
            good.replace("nc=00000001", "nc=1"),
            good.replace("nc=00000001", "nc=0000000g"),
            good.replace('username="Mufasa", ', ""),
            good + " " * 3000,
        ):
            self.assertIsNone(digest.read(bad), bad)

    def test_a_challenge(self) -> None:
        """As section 3.3 writes it; stale only where it is true."""
        self.assertEqual(
            digest.challenge("a b", "n", "SHA-256", stale=True),
            'Digest realm="a b", nonce="n", stale=true, algorithm=SHA-256, qop="auth"',
        )
        self.assertNotIn("stale", digest.challenge("a", "n", "MD5", stale=False))


def octets(seed: int) -> Any:
    """Random octets that are the same in each run."""
    return random.Random(seed).randbytes


def nonces(keys: Keys, seed: int = 1, **how: Any) -> Nonces:
    """A node's nonces."""
    return Nonces(keys=keys, octets=octets(seed), **how)


class NonceTest(SynchronousTestCase):
    """Who made a nonce, how old it is, and how often it was used."""

    def setUp(self) -> None:
        self.keys = Keys([b"k" * 32])
        self.here = nonces(self.keys, 1)
        self.there = nonces(self.keys, 2)

    def test_the_group_knows_its_own(self) -> None:
        """The issuer counts it, another node and the issuer's next start know that it is one; strangers' are none."""
        nonce = self.here.issue(100.0)
        stranger = nonces(Keys([b"s" * 32]), 1).issue(100.0)
        for node, asked, standing in [
            (self.here, nonce, Standing.OURS),
            (self.there, nonce, Standing.STALE),
            (nonces(self.keys, 3), nonce, Standing.STALE),
            (self.here, stranger, Standing.FORGED),
        ]:
            self.assertIs(node.standing(asked, 101.0), standing)

    def test_every_octet_counts(self) -> None:
        """A nonce that was changed anywhere, cut, or is no base64 at all is nobody's."""
        nonce = self.here.issue(100.0)
        for place in range(len(nonce)):
            changed = nonce[:place] + ("A" if nonce[place] != "A" else "B") + nonce[place + 1 :]
            self.assertIs(self.here.standing(changed, 100.0), Standing.FORGED)
            self.assertIs(self.here.standing(nonce[:place], 100.0), Standing.FORGED)
        for bad in ("\xe9" * 40, "+" * 40, "=" * 40, nonce + "A", ""):
            self.assertIs(self.here.standing(bad, 100.0), Standing.FORGED)

    def test_it_grows_old(self) -> None:
        """After its lifetime it is stale; one from the future too."""
        nonce = self.here.issue(100.0)
        for now, standing in [
            (100.0 + LIFETIME_S - 0.1, Standing.OURS),
            (100.0 + LIFETIME_S, Standing.STALE),
            (99.0, Standing.STALE),
        ]:
            self.assertIs(self.here.standing(nonce, now), standing)

    def test_a_count_is_used_once(self) -> None:
        """Only a higher one is good, gaps allowed."""
        nonce = self.here.issue(100.0)
        used = [self.here.use(nonce, count, 100.0) for count in (1, 1, 2, 5, 3, 5, 6)]
        self.assertEqual(used, [True, False, True, True, False, False, True])

    def test_a_changed_key(self) -> None:
        """A key that still opens is a key whose nonces are known; one that is gone is not."""
        nonce = self.here.issue(100.0)
        both, new = Keys([b"n" * 32, b"k" * 32]), Keys([b"n" * 32])
        self.assertIs(nonces(both, 1).standing(nonce, 100.0), Standing.OURS)
        self.assertIs(nonces(new, 1).standing(nonce, 100.0), Standing.FORGED)

    def test_the_table_is_bounded(self) -> None:
        """What is forgotten early can not be used again: all nonces of that age are stale."""
        here = nonces(self.keys, max_counted=2)
        first, second, third = (here.issue(now) for now in (100.0, 101.0, 102.0))
        unused = here.issue(100.0)
        for nonce in (first, second, third):
            self.assertTrue(here.use(nonce, 1, 102.0))
        self.assertEqual(len(here), 2)
        standings = [here.standing(nonce, 102.0) for nonce in (first, unused, second, third)]
        self.assertEqual(standings, [Standing.STALE, Standing.STALE, Standing.OURS, Standing.OURS])

    def test_what_has_expired_is_forgotten(self) -> None:
        """Without a harm to others."""
        for _ in range(5):
            self.here.use(self.here.issue(100.0), 1, 100.0)
        self.here.use(self.here.issue(500.0), 1, 500.0)
        self.assertEqual(len(self.here), 1)


class AuthenticatorTest(SynchronousTestCase):
    """What is asked, and what is believed."""

    def setUp(self) -> None:
        self.keys = Keys([b"k" * 32])
        self.here = self.node(1)
        self.there = self.node(2)

    def node(self, seed: int, algorithms: Sequence[str] = ("SHA-256", "MD5")) -> Authenticator:
        return Authenticator(realm=REALM, nonces=nonces(self.keys, seed), algorithms=algorithms, octets=octets(seed))

    def answered(
        self,
        challenge: Sequence[tuple[str, str]],
        *,
        username: str = "alice",
        password: str = "wonder land",
        algorithm: str = "SHA-256",
        count: int = 1,
        method: str = "INVITE",
        uri: str = URI,
        party: Party = Party.PROXY,
        **changed: str,
    ) -> Request:
        """The request that a client sends, as it should be but for what is changed."""
        nonce = challenge[0][1].partition('nonce="')[2].partition('"')[0]
        said = Credentials(username, REALM, nonce, uri, "", algorithm, "c", f"{count:08x}")
        response = digest.response(digest.secret(username, REALM, password, algorithm), said, method)
        said = said._replace(response=response)._replace(**changed)
        value = (
            f'Digest username="{said.username}", realm="{said.realm}", nonce="{said.nonce}", uri="{said.uri}", '
            f'response="{said.response}", algorithm={said.algorithm}, cnonce="{said.cnonce}", qop=auth, nc={said.nc}'
        )
        name = "Proxy-Authorization" if party is Party.PROXY else "Authorization"
        return request(method, uri, [(name, 'Digest realm="other", nonce="x"'), (name, value)])

    def verdict(
        self, asked: Request, node: Authenticator | None = None, secrets: Secrets | None = ALICE, now: float = 100.0
    ) -> Verdict | None:
        """What a node says; None where it does not even look into the store."""
        node = node or self.here
        party = Party.PROXY if asked.has("Proxy-Authorization") else Party.REGISTRAR
        claim = node.claim(asked, party, now)
        return None if claim is None else node.judge(claim, asked.method, secrets, now)

    def test_the_best_algorithm_is_offered_first(self) -> None:
        """RFC 8760 section 2.4: one field each, SHA-256 above MD5, one nonce; MD5 can be switched off."""
        for party, name in ((Party.PROXY, "Proxy-Authenticate"), (Party.REGISTRAR, "WWW-Authenticate")):
            offered = self.here.challenge(party, 100.0)
            self.assertEqual([field for field, _ in offered], [name, name])
            values = [value for _, value in offered]
            self.assertEqual(
                [value.partition("algorithm=")[2].partition(",")[0] for value in values], ["SHA-256", "MD5"]
            )
            self.assertEqual(values[0].replace("SHA-256", "MD5"), values[1])
        self.assertEqual(len(self.node(1, ["SHA-256"]).challenge(Party.PROXY, 100.0)), 1)

    def test_right_credentials(self) -> None:
        """With either algorithm, as a proxy and as a registrar."""
        for party, method in ((Party.PROXY, "INVITE"), (Party.REGISTRAR, "REGISTER")):
            for algorithm in ("SHA-256", "MD5"):
                challenge = self.here.challenge(party, 100.0)
                asked = self.answered(challenge, algorithm=algorithm, party=party, method=method)
                self.assertIs(self.verdict(asked), Verdict.RIGHT)

    def test_a_request_is_not_believed_twice(self) -> None:
        """The same again is stale, however right; the next count is not."""
        challenge = self.here.challenge(Party.PROXY, 100.0)
        asked = self.answered(challenge)
        self.assertEqual([self.verdict(asked) for _ in range(2)], [Verdict.RIGHT, Verdict.STALE])
        self.assertIs(self.verdict(self.answered(challenge, count=2)), Verdict.RIGHT)

    def test_another_nodes_nonce(self) -> None:
        """It is recognised: right credentials need only be made anew, and wrong ones are wrong."""
        challenge = self.here.challenge(Party.PROXY, 100.0)
        self.assertIs(self.verdict(self.answered(challenge), self.there), Verdict.STALE)
        self.assertIs(self.verdict(self.answered(challenge, password="x"), self.there), Verdict.WRONG)

    def test_wrong_credentials(self) -> None:
        """Another password, another method, another user's; and nobody with that name."""
        challenge = self.here.challenge(Party.PROXY, 100.0)
        for asked, secrets in [
            (self.answered(challenge, password="x"), ALICE),
            (self.answered(challenge, response="0"), ALICE),
            (self.answered(challenge, response=""), ALICE),
            (self.answered(challenge, cnonce="d"), ALICE),
            (self.answered(challenge, username="bob"), ALICE),
            (self.answered(challenge), None),
            (self.answered(challenge, algorithm="MD5"), None),
        ]:
            self.assertIs(self.verdict(asked, secrets=secrets), Verdict.WRONG)
        self.assertIs(self.verdict(self.answered(challenge)), Verdict.RIGHT, "wrong ones use up no count")

    def test_what_is_not_looked_up(self) -> None:
        """Strangers' nonces, other realms, algorithms that are not offered, credentials for another Request-URI."""
        challenge = self.here.challenge(Party.PROXY, 100.0)
        diverted = self.answered(challenge)
        diverted.uri = "sip:premium@192.0.2.1"
        for node, asked in [
            (self.here, self.answered([("", 'nonce="made up"')])),
            (self.here, self.answered(challenge, realm="other")),
            (self.here, diverted),
            (self.node(1, ["SHA-256"]), self.answered(challenge, algorithm="MD5")),
        ]:
            self.assertIsNone(self.verdict(asked, node))

    def test_a_request_uri_written_in_another_way(self) -> None:
        """The same by the rules of URIs."""
        asked = self.answered(self.here.challenge(Party.PROXY, 100.0), uri="sip:%62ob@192.0.2.1")
        asked.uri = URI
        self.assertIs(self.verdict(asked), Verdict.RIGHT)

    def test_a_stranger_costs_as_much_as_a_user(self) -> None:
        """The same hashes are made for an unknown user, over a secret that is the same each time."""
        hashed: list[int] = []
        genuine = digest.ALGORITHMS["SHA-256"]

        def counting(data: bytes) -> str:
            hashed.append(len(data))
            return genuine(data)

        self.patch(digest, "ALGORITHMS", {**digest.ALGORITHMS, "SHA-256": counting})
        challenge = self.here.challenge(Party.PROXY, 100.0)
        asked = self.answered(challenge, password="x")
        hashed.clear()
        self.verdict(asked)
        known, hashed[:] = list(hashed), []
        self.verdict(asked, secrets=None)
        self.assertEqual(hashed, known)
