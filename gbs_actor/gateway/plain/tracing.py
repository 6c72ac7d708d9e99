"""Traces one plain WebSocket: from its frames to what operators are shown of any client."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gbs_actor.gateway.client import ClientTracer
from gbs_actor.gateway.plain.frame import Frame


class _SentFrame(msgspec.Struct):
    id: Raw | UnsetType = UNSET
    event: str = ""
    data: Raw = Raw(b"null")


_sent_frame: Final = msgspec.json.Decoder(_SentFrame)


def report_received(tracer: ClientTracer, frame: Frame) -> None:
    """Report a client's frame, also one that is no event."""
    reply_id = None if frame.id is None else frame.id.decode()
    tracer.received(frame.name, frame.data, reply_id)


def report_sent(tracer: ClientTracer, text: bytes) -> None:
    """Report a frame to the client: an event, or a reply, which has the members of an ack."""
    frame = _sent_frame.decode(text)
    if frame.id is UNSET:
        tracer.sent(frame.event, bytes(frame.data))
    else:
        tracer.replied(bytes(frame.id).decode(), text)
