"""The ports of a node: bound while it is made, so that one that is taken is found before twistd forks; read while it
runs; closed together.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from voipshift import config
from voipshift.batch import Batch
from voipshift.errors import ConfigurationError
from voipshift.node import Address
from voipshift.sip.server import SipServer
from voipshift.sip.streams import Streams
from voipshift.udp import DatagramPort, Received, open_multicast, open_port
from voipshift.wiring import tcp
from voipshift.wiring.taken import named

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorFDSet


class Ports:
    """The UDP ports of a node, none yet.

    :param file: the configuration that names them
    :param batch: what all of them read in
    """

    def __init__(self, file: str, batch: Batch) -> None:
        self._file = file
        self._batch = batch
        self._open: list[DatagramPort] = []
        self._sip: list[DatagramPort] = []

    @property
    def octets(self) -> int:
        """Of SIP, in and out."""
        return sum(port.octets for port in self._sip)

    def waited_s(self) -> float:
        """How long the oldest datagram of SIP has been waiting in the kernel."""
        return max((port.waited_s() for port in self._sip), default=0.0)

    def open(self, key: str, address: Address, received: Received) -> DatagramPort:
        """Bind one.

        :param key: which names it
        :raises ConfigurationError: it cannot be bound
        """
        with named(self._file, key, address, "udp"):
            port = open_port(address, received, self._batch)
        self._open.append(port)
        return port

    def open_sip(self, settings: config.Settings, sip: SipServer, streams: Streams) -> None:
        """Bind those of each ``[[sip.listen]]``, over UDP here, over TCP and TLS with the streams.

        :raises ConfigurationError: one cannot be bound
        """
        for index, listen in enumerate(settings.sip.listen):
            if listen.transport == "udp":
                port = self.open(f"sip.listen[{index}].address", listen.address, partial(sip.received, index))
                sip.add_port(port.send)
                self._sip.append(port)
            else:
                tcp.open_port(settings, index, streams)
                sip.add_port(partial(streams.send, index))

    def join(self, multicast: Address, sender: DatagramPort, received: Received) -> None:
        """Join the multicast group of the members, by the interface of the port that sends to it.

        :raises ConfigurationError: it cannot be joined
        """
        try:
            self._open.append(open_multicast(multicast, sender.address[0], sender, received, self._batch))
        except OSError as error:
            raise ConfigurationError(self._file, "group.multicast", f"{error.strerror}") from None

    def start(self, reactor: IReactorFDSet) -> None:
        """Begin to read."""
        for port in self._open:
            port.start(reactor)

    def stop(self) -> None:
        """Close them."""
        for port in self._open:
            port.stop()
        self._open.clear()
