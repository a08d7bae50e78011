"""The four machines are the figures of RFC 3261 section 17, with RFC 6026."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.message import request
from voipshift.sip.transaction import (
    ACK,
    CANCEL_TIMER,
    FAILURE,
    GIVING_UP,
    PROVISIONAL,
    REQUEST,
    SUCCESS,
    TRYING_TIMER,
    Action,
    Client,
    ClientTransaction,
    Hop,
    InviteClient,
    InviteServer,
    Server,
    ServerTransaction,
    State,
)

A = Action
MACHINES: tuple[type[State], ...] = (InviteClient, Client, InviteServer, Server)


def row(state: State) -> dict[str, tuple[str, Action]]:
    """What a state does over UDP: input, next state's word, action."""
    return {name: (move.state.value, move.action) for name, move in state.moves.items()}


class FigureTests(SynchronousTestCase):
    """Each figure, arrow by arrow."""

    def test_invite_client(self) -> None:
        """Figure 5, with the Accepted state of RFC 6026 section 7.2."""
        final = {SUCCESS: ("Accepted", A.PASS), FAILURE: ("Completed", A.ACKNOWLEDGE_AND_PASS)}
        self.assertEqual(
            row(InviteClient.CALLING),
            {"A": ("Calling", A.RESEND), "B": ("Terminated", A.TIME_OUT), PROVISIONAL: ("Proceeding", A.PASS), **final},
        )
        self.assertEqual(
            row(InviteClient.PROCEEDING),
            {PROVISIONAL: ("Proceeding", A.PASS), CANCEL_TIMER: ("Terminated", A.TIME_OUT), **final},
        )
        self.assertEqual(
            row(InviteClient.COMPLETED), {FAILURE: ("Completed", A.ACKNOWLEDGE), "D": ("Terminated", A.NOTHING)}
        )
        self.assertEqual(row(InviteClient.ACCEPTED), {SUCCESS: ("Accepted", A.PASS), "M": ("Terminated", A.NOTHING)})

    def test_client(self) -> None:
        """Figure 6."""
        final = {SUCCESS: ("Completed", A.PASS), FAILURE: ("Completed", A.PASS), "F": ("Terminated", A.TIME_OUT)}
        for state in (Client.TRYING, Client.PROCEEDING):
            self.assertEqual(row(state), {"E": (state.value, A.RESEND), PROVISIONAL: ("Proceeding", A.PASS), **final})
        self.assertEqual(row(Client.COMPLETED), {"K": ("Terminated", A.NOTHING)})

    def test_invite_server(self) -> None:
        """Figure 7, with the Accepted state of RFC 6026 section 7.1."""
        self.assertEqual(
            row(InviteServer.PROCEEDING),
            {
                REQUEST: ("Proceeding", A.RESEND),
                TRYING_TIMER: ("Proceeding", A.SAY_TRYING),
                PROVISIONAL: ("Proceeding", A.SEND),
                SUCCESS: ("Accepted", A.SEND),
                FAILURE: ("Completed", A.SEND),
            },
        )
        self.assertEqual(
            row(InviteServer.COMPLETED),
            {
                REQUEST: ("Completed", A.RESEND),
                "G": ("Completed", A.RESEND),
                ACK: ("Confirmed", A.NOTHING),
                "H": ("Terminated", A.NOTHING),
            },
        )
        self.assertEqual(row(InviteServer.CONFIRMED), {"I": ("Terminated", A.NOTHING)})
        self.assertEqual(
            row(InviteServer.ACCEPTED),
            {SUCCESS: ("Accepted", A.SEND), ACK: ("Accepted", A.PASS), "L": ("Terminated", A.NOTHING)},
        )

    def test_server(self) -> None:
        """Figure 8."""
        said = {
            PROVISIONAL: ("Proceeding", A.SEND),
            SUCCESS: ("Completed", A.SEND),
            FAILURE: ("Completed", A.SEND),
        }
        self.assertEqual(row(Server.TRYING), said)
        self.assertEqual(row(Server.PROCEEDING), {REQUEST: ("Proceeding", A.RESEND), **said})
        self.assertEqual(row(Server.COMPLETED), {REQUEST: ("Completed", A.RESEND), "J": ("Terminated", A.NOTHING)})

    def test_the_end(self) -> None:
        """Every state leads on to Terminated, from which nothing leads."""
        for machine in MACHINES:
            for state in machine:
                if state.value == "Terminated":
                    self.assertEqual((state.moves, state.reliable_moves), ({}, {}))
                    continue
                reached = {state}
                while any(new := {m.state for s in reached for m in s.moves.values()} - reached):
                    reached |= new
                self.assertIn("Terminated", {s.value for s in reached})

    def test_both_transports(self) -> None:
        """A reliable transport has the same arrows; only timers differ."""
        for machine in MACHINES:
            for state in machine:
                self.assertEqual(
                    {name: (move.state.value, move.action) for name, move in state.reliable_moves.items()}, row(state)
                )


def running(state: State) -> set[str]:
    """The timers that run in a state sooner or later, over UDP."""
    return {name for name, _ in state.timers} | {GIVING_UP[name][0] for name, _ in state.timers if name in GIVING_UP}


class TimerTests(SynchronousTestCase):
    """A timer belongs to states."""

    def test_started(self) -> None:
        """What is started with each state, over UDP and over TCP; what gives up waits for what retransmits."""
        for state, unreliable, reliable in (
            (InviteClient.CALLING, {"A": 0.5}, {"B": 32.0}),
            (InviteClient.PROCEEDING, {}, {}),
            (InviteClient.COMPLETED, {"D": 32.0}, {"D": 0.0}),
            (InviteClient.ACCEPTED, {"M": 32.0}, {"M": 32.0}),
            (Client.TRYING, {"E": 0.5}, {"F": 32.0}),
            (Client.COMPLETED, {"K": 5.0}, {"K": 0.0}),
            (InviteServer.PROCEEDING, {TRYING_TIMER: 0.2}, {TRYING_TIMER: 0.2}),
            (InviteServer.COMPLETED, {"G": 0.5}, {"H": 32.0}),
            (InviteServer.CONFIRMED, {"I": 5.0}, {"I": 0.0}),
            (InviteServer.ACCEPTED, {"L": 32.0}, {"L": 32.0}),
            (Server.TRYING, {}, {}),
            (Server.PROCEEDING, {}, {}),
            (Server.COMPLETED, {"J": 32.0}, {"J": 0.0}),
        ):
            self.assertEqual(dict(state.timers), unreliable, state)
            self.assertEqual(dict(state.reliable_timers), reliable, state)

    def test_entering_starts_and_leaving_stops(self) -> None:
        """What a transition starts and stops is the difference between its states; staying changes nothing."""
        for machine in MACHINES:
            for state in machine:
                for move in state.moves.values():
                    here, there = dict(state.timers), dict(move.state.timers)
                    if move.state is state:
                        self.assertEqual((move.stop, move.start), ((), ()))
                        continue
                    self.assertEqual({name for name, _ in move.start}, there.keys() - here.keys())
                    self.assertEqual(set(move.stop) - {CANCEL_TIMER}, running(state) - running(move.state))

    def test_a_provisional_response_leaves_e_and_f_running(self) -> None:
        """17.1.2.2: timers E and F go on from Trying to Proceeding; figure 5 ends A and B."""
        move = Client.TRYING.moves[PROVISIONAL]
        self.assertEqual((move.stop, move.start), ((), ()))
        self.assertEqual(set(InviteClient.CALLING.moves[PROVISIONAL].stop), {"A", "B"})

    def test_intervals(self) -> None:
        """A doubles without end, E and G up to T2; a proceeding request other than INVITE is repeated every T2."""
        options = request("OPTIONS", "sip:a@b", [])
        invite = request("INVITE", "sip:a@b", [])
        hop = Hop("192.0.2.1", 5060)
        calling = ClientTransaction("k", invite, hop, False)
        self.assertEqual([calling.lengthen("A") for _ in range(6)], [1, 2, 4, 8, 16, 32])
        trying = ClientTransaction("k", options, hop, False)
        self.assertEqual([trying.lengthen("E") for _ in range(5)], [1, 2, 4, 4, 4])
        completed = ServerTransaction("k", invite, hop, hop, False)
        self.assertEqual([completed.lengthen("G") for _ in range(5)], [1, 2, 4, 4, 4])
        proceeding = ClientTransaction("k", options, hop, False)
        proceeding.state = Client.PROCEEDING
        self.assertEqual(proceeding.lengthen("E"), 4)

    def test_first_states(self) -> None:
        """An INVITE begins in Calling and Proceeding, any other request in Trying; what is unknown is ignored."""
        hop = Hop("192.0.2.1", 5060)
        for method, client, server in (
            ("INVITE", InviteClient.CALLING, InviteServer.PROCEEDING),
            ("BYE", Client.TRYING, Server.TRYING),
        ):
            made = request(method, "sip:a@b", [])
            self.assertIs(ClientTransaction("k", made, hop, False).state, client)
            begun = ServerTransaction("k", made, hop, hop, True)
            self.assertIs(begun.state, server)
            self.assertIsNone(begun.take("no such input"))
            self.assertIn(method, repr(begun))
