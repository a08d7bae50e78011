"""A DNS in memory that remembers what it was asked, and answers at once, when it is told to, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, fail, succeed

from voipshift.errors import NoAnswer
from voipshift.sip.locate import Question, Records

Answer = tuple[Records, float]


class Zone:
    """Records by name and type.

    :ivar records: what there is
    :ivar ttl_s: of every answer
    :ivar asked: the questions, each as ``A example.com``
    :ivar silent: nobody answers
    :ivar held: questions wait for :meth:`release`
    """

    def __init__(self, records: Mapping[tuple[str, str], Records]) -> None:
        self.records = dict(records)
        self.ttl_s = 60.0
        self.asked: list[str] = []
        self.silent = False
        self.held = False
        self._waiting: list[tuple[Question, Deferred[Answer]]] = []

    def ask(self, question: Question) -> Deferred[Answer]:
        """In place of :meth:`voipshift.sip.dns.Dns.ask`."""
        self.asked.append(f"{question.type} {question.name}")
        if self.held:
            answer: Deferred[Answer] = Deferred()
            self._waiting.append((question, answer))
            return answer
        return self._answer(question)

    def release(self) -> None:
        """Answer what was held, and what is asked from now on."""
        self.held = False
        waiting, self._waiting = self._waiting, []
        for question, answer in waiting:
            self._answer(question).chainDeferred(answer)

    def take(self) -> list[str]:
        """What was asked since the last look."""
        asked, self.asked = self.asked, []
        return asked

    def _answer(self, question: Question) -> Deferred[Answer]:
        if self.silent:
            return fail(NoAnswer(True))
        return succeed((self.records.get(question, ()), self.ttl_s))
