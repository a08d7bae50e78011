"""Session descriptions for calls without media: RFC 4566, with the offer and answer of RFC 3264.

No packet of media is ever sent: every stream is ``inactive`` and names the discard port.
"""

from __future__ import annotations

CONTENT_TYPE = "application/sdp"
#: RFC 863; a stream must name a port other than 0 to be accepted.
DISCARD_PORT = 9
#: Lines of an offer that are looked at; phones write about thirty.
MAX_LINES = 500


def offer(host: str) -> bytes:
    """One audio stream, G.711."""
    return _description(host, [f"m=audio {DISCARD_PORT} RTP/AVP 0 8", "a=inactive"])


def answer(offered: bytes, host: str) -> bytes:
    """Accept the first audio stream of an offer, in the formats offered, and reject every other stream.

    An answer has exactly the offer's ``m=`` lines, in their order.  An INVITE without an offer is answered with ours.
    """
    media = [
        line[2:].split() for line in offered.decode("utf-8", "replace").splitlines()[:MAX_LINES] if line[:2] == "m="
    ]
    media = [parts for parts in media if len(parts) >= 4]
    if not media:
        return offer(host)
    lines: list[str] = []
    accepted = False
    for kind, _, protocol, *formats in media:
        accept = kind == "audio" and protocol.startswith("RTP/") and not accepted
        accepted = accepted or accept
        lines.append(f"m={kind} {DISCARD_PORT if accept else 0} {protocol} {' '.join(formats)}")
        if accept:
            lines.append("a=inactive")
    return _description(host, lines)


def _description(host: str, media: list[str]) -> bytes:
    where = f"IN IP{6 if ':' in host else 4} {host}"
    lines = ["v=0", f"o=voipshift 1 1 {where}", "s=-", f"c={where}", "t=0 0", *media]
    return "".join(f"{line}\r\n" for line in lines).encode()
