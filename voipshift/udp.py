"""A UDP port that is read in batches: the socket beneath SIP and beneath the group.

Twisted's own UDP port looks at the address of each datagram that it sends and wraps each that it receives; this one is
``recvfrom`` and ``sendto`` and little else, for about half the processor time (``bench/redirect.py`` measures it beside
a bare Twisted echo).  What it does not do: connected ports and host names; an address is an IP address.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import time
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements

from voipshift.batch import Batch
from voipshift.node import Address

#: Datagrams read before the reactor may look at its timers and its other sockets again.
MAX_BATCH = 64
#: Datagrams that leave together at most: whoever is woken by the first finds the others there, and is woken once.
MAX_OUTGOING = 16
#: The largest UDP payload there is, so that nothing is cut by the read itself.
MAX_DATAGRAM = 65535
#: Asked of the kernel for each direction: at 5000 datagrams of 500 octets a second it holds a pause of 0.4 s.
BUFFER_OCTETS = 1 << 20
#: How far a multicast report may travel: the local network.
MULTICAST_TTL = 1

#: Linux notes when each datagram came (socket(7)); Python has no name for the option.
SO_TIMESTAMPNS = 35
#: What it notes: seconds and nanoseconds of the wall clock.
TIMESPEC = struct.Struct("@ll")

Received = Callable[[bytes, Address], None]


class DatagramPort:
    """An open UDP socket, bound at once and read from :meth:`start` to :meth:`stop`.

    Between the two steps a process may fork: a port that is taken is found before it does.

    :ivar unsent: datagrams that the kernel did not take (no route, a full buffer): UDP may lose them anyway, so they
        are counted and not raised
    :ivar octets: what was received and sent so far
    """

    def __init__(self, opened: socket.socket, received: Received, batch: Batch | None = None) -> None:
        self._socket = opened
        self._batch = batch or Batch()
        self._received = received
        self._reactor: IReactorFDSet | None = None
        self._outgoing: list[tuple[bytes, Address]] = []
        self.unsent = 0
        self.octets = 0
        self._log = Logger(__name__)

    @property
    def address(self) -> Address:
        """The address that the socket is bound to."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def start(self, reactor: IReactorFDSet) -> None:
        """Begin to read."""
        self._reactor = reactor
        reactor.addReader(self)

    def stop(self) -> None:
        """Close the socket; what is sent afterwards is dropped."""
        self._send_all()
        if self._reactor is not None:
            self._reactor.removeReader(self)
            self._reactor = None
        self._socket.close()

    def send(self, octets: bytes, address: Address) -> None:
        """Send one datagram to an IP address: at once, or where a batch is being read, with others when it ends."""
        outgoing = self._outgoing
        outgoing.append((octets, address))
        if len(outgoing) >= MAX_OUTGOING:
            self._send_all()
        elif len(outgoing) == 1:
            self._batch.at_end(self._send_all)

    def waited_s(self) -> float:
        """How long the datagram that is next to be read has been waiting in the kernel; 0 when there is none."""
        try:
            _, notes, _, _ = self._socket.recvmsg(1, socket.CMSG_SPACE(TIMESPEC.size), socket.MSG_PEEK)
        except OSError:
            return 0.0
        for level, kind, octets in notes:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(octets) == TIMESPEC.size:
                seconds, nanoseconds = TIMESPEC.unpack(octets)
                return max(0.0, time.time() - float(seconds) - float(nanoseconds) * 1e-9)
        return 0.0

    def _send_all(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        send = self._socket.sendto
        for octets, address in outgoing:
            try:
                self.octets += send(octets, address)
            except OSError:
                self.unsent += 1

    def doRead(self) -> None:
        try:
            with self._batch:
                self._read_all()
        except Exception:
            self._log.failure("what followed from a batch of datagrams was not done")

    def _read_all(self) -> None:
        receive = self._socket.recvfrom
        received = self._received
        for _ in range(MAX_BATCH):
            try:
                octets, source = receive(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of an earlier send: UDP has no connection to lose
            self.octets += len(octets)
            try:
                received(octets, source[:2])
            except Exception:
                self._log.failure(
                    "a datagram of {octets} octets from {source} was not worked off", octets=len(octets), source=source
                )
            if self._reactor is None:
                return  # stopped by what it received

    def fileno(self) -> int:
        return self._socket.fileno()

    def connectionLost(self, reason: Failure) -> None:
        """Called by the reactor when the descriptor failed; nothing is left to clean up."""

    def logPrefix(self) -> str:
        return "udp"


# Said from outside: a decorated class is none of C when it is compiled.
classImplements(DatagramPort, IReadDescriptor)


def open_port(address: Address, received: Received, batch: Batch | None = None) -> DatagramPort:
    """Bind a unicast UDP port.

    :param address: the IP address and port to bind
    :param received: called with each datagram and its source
    :param batch: open while datagrams are read
    :raises OSError: it cannot be bound; the port is taken, or the address is not this machine's
    """
    opened = _socket_for(address[0])
    try:
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return DatagramPort(opened, received, batch)


def open_multicast(
    group: Address, interface: str, sender: DatagramPort, received: Received, batch: Batch | None = None
) -> DatagramPort:
    """Join a multicast group on one interface.

    Several nodes of one machine can join the same group and port.

    :param group: the group's IPv4 address and port
    :param interface: the local address of the interface to join on
    :param sender: the unicast port from which datagrams to the group are sent: they leave by that interface, with a TTL
        of 1
    :raises OSError: the group cannot be joined
    """
    joined = _socket_for(group[0])
    try:
        joined.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        joined.bind(group)
        local = socket.inet_aton(interface)
        joined.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group[0]) + local)
        outgoing = sender._socket
        outgoing.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, local)
        outgoing.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, MULTICAST_TTL)
        outgoing.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    except OSError:
        joined.close()
        raise
    return DatagramPort(joined, received, batch)


def _socket_for(host: str) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setblocking(False)
    with contextlib.suppress(OSError):  # not on every system; then nothing is known of what waits
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    for direction in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        opened.setsockopt(socket.SOL_SOCKET, direction, BUFFER_OCTETS)
    return opened
