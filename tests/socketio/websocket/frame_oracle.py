"""Compares what our parser makes of a client's bytes with what ``websockets`` makes of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation
from gbs_actor.socketio.websocket.frame_parser import Close, FrameParser, Ping, Signal

MAX_SIZE: Final = 1_000
"""Bytes of a message."""

_logger = logging.getLogger("tests.frame_oracle")
_logger.setLevel(logging.CRITICAL)


@dataclass
class Outcome:
    """What one side has made of some bytes."""

    received: list[object] = field(default_factory=list)
    """Whole messages, the payloads of pings, and that of a close frame."""
    code: int | None = None
    """That it has refused them with."""
    frames: list[object] = field(default_factory=list)
    """All that it has read."""


def _ours(pieces: list[bytes]) -> Outcome:
    outcome = Outcome()
    parser = FrameParser(MAX_SIZE)
    try:
        for piece in pieces:
            parser.feed(piece)
            while (received := parser.next()) is not None:
                outcome.frames.append(received)
                if not isinstance(received, Signal):
                    outcome.received.append(received)
                if isinstance(received, Close):
                    return outcome
    except ProtocolViolation as violation:
        outcome.code = violation.code
    return outcome


def _theirs(pieces: list[bytes]) -> Outcome:
    outcome = Outcome()
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE, logger=_logger)
    message = b""
    opcode = Opcode.TEXT
    for piece in pieces:
        if protocol.close_rcvd is None and protocol.parser_exc is None:
            protocol.receive_data(piece)
        for received in protocol.events_received():
            assert isinstance(received, Frame)
            outcome.frames.append(received)
            payload = bytes(received.data)
            if received.opcode is Opcode.PING:
                outcome.received.append(Ping(payload))
            elif received.opcode is Opcode.CLOSE:
                outcome.received.append(Close(payload))
                return outcome
            elif received.opcode is not Opcode.PONG:
                if received.opcode is not Opcode.CONT:
                    message, opcode = b"", received.opcode
                message += payload
                if received.fin and opcode is Opcode.BINARY:
                    outcome.received.append(message)
                elif received.fin:
                    try:
                        outcome.received.append(message.decode())
                    except UnicodeDecodeError:  # not its task
                        outcome.code = CloseCode.INVALID_DATA
                        outcome.frames.pop()
                        return outcome
        if protocol.parser_exc is not None and protocol.close_sent is not None:
            outcome.code = protocol.close_sent.code
            return outcome
    return outcome


def agree(pieces: list[bytes]) -> None:
    """Check that both read the same: messages, order, close code.

    Allowed differences:

    - which of several faults of a frame is reported, and whether when its head has come: ours
      is refused then, theirs as a whole;
    - a close frame inside a fragmented message is a close frame for us, and a fault for them
      (RFC 6455 §5.4 allows it);
    - a control frame inside a fragmented message is a fault for them if there is no room for it
      in the message.
    """
    mine = _ours(pieces)
    others = _theirs(pieces)
    if mine.code is not None and others.code is None:
        others = _theirs([*pieces, bytes(MAX_SIZE + 14)])  # the rest of the frame
    if mine.code is None and others.code is None:
        assert mine.received == others.received
        assert len(mine.frames) == len(others.frames)
        return
    assert mine.received[: len(others.received)] == others.received
    if len(mine.frames) == len(others.frames):
        assert others.code is not None, "refused what they read"
        assert mine.code is not None or others.code == CloseCode.TOO_LARGE
        return
    further = mine.frames[len(others.frames)]
    control = further is Signal.PONG or isinstance(further, (Ping, Close))
    assert control, "read what they refused"
