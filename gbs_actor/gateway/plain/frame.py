"""Text frames of plain WebSockets, both ways.

A client sends ``{"id"?: any, "event": name, "data": …}``, the server ``{"event", "data"}``
and replies under the client's id.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gbs_actor.contract.events import ServerEvent
from gbs_actor.gateway.format import EventFormat
from gbs_actor.rooms.delivery import Snapshot
from gbs_actor.socketio import Message, without_surrogates

_SHAPE: Final = 'A frame is one JSON object: {"id"?, "event", "data"}.'


class _RawFrame(msgspec.Struct):
    id: Raw | UnsetType = UNSET
    event: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET


_frame: Final = msgspec.json.Decoder(_RawFrame)
_name: Final = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class Frame:
    """A client's frame, parsed as far as its name."""

    id: bytes | None
    """JSON, not decoded; ``None``: the client waits for no reply. ``null`` is an id."""
    name: str = ""
    """The event's; "" if there is none."""
    data: bytes | None = None
    """JSON, not decoded; ``None`` if there is none."""
    problem: str | None = None
    """Why it is no event, in one sentence for the client's developer."""

    @property
    def size(self) -> int:
        """Bytes of memory that it takes."""
        return len(self.id or b"") + len(self.name) + len(self.data or b"")


_TOO_DEEP: Final = Frame(None, problem="The frame is nested too deeply.")


def parse_frame(text: str) -> Frame:
    """Parse a frame; never raises. Its data are not decoded.

    Of two members with the same name the later one counts; others are ignored.
    """
    try:
        frame = _frame.decode(text)
    except msgspec.ValidationError:
        return Frame(None, problem=_SHAPE)
    except (msgspec.DecodeError, UnicodeError):
        return _parse_odd_frame(text)
    except RecursionError:
        return _TOO_DEEP
    identifier = _id(frame)
    if frame.event is UNSET:
        return Frame(identifier, problem="event is required.")
    try:
        name = _name.decode(frame.event)
    except msgspec.DecodeError:
        return Frame(identifier, problem="event must be a string.")
    return Frame(identifier, name, None if frame.data is UNSET else bytes(frame.data))


def _id(frame: _RawFrame) -> bytes | None:
    # Copied, as the raw value would keep the whole frame.
    return None if frame.id is UNSET else bytes(frame.id)


def _parse_odd_frame(text: str) -> Frame:
    """Parse JSON that only our decoder refuses (lone surrogates), or report what is no JSON.

    A client that waits for a reply then gets one. Surrogates in the id itself are lost.
    """
    try:
        identifier = _id(_frame.decode(without_surrogates(text)))
    except msgspec.ValidationError:
        return Frame(None, problem=_SHAPE)
    except (msgspec.DecodeError, UnicodeError):
        return Frame(None, problem="The frame is not valid JSON.")
    except RecursionError:
        return _TOO_DEEP
    return Frame(identifier, problem="The frame holds text that is no Unicode.")


class _InitialData(msgspec.Struct, frozen=True):
    event: Literal[ServerEvent.INITIAL_DATA]
    data: Raw
    revision: int
    epoch: str
    full: bool


class PlainFormat(EventFormat):
    """Encodes for plain WebSockets: ``{"event": name, "data": …}`` in a text frame."""

    __slots__ = ()

    def event(self, name: str, payload: bytes, key: Hashable | None = None) -> Message:
        """Encode an event; see :class:`EventFormat`."""
        return Message(b'{"event":%b,"data":%b}' % (msgspec.json.encode(name), payload), key=key)

    def _initial_data(self, snapshot: Snapshot) -> Message:
        # With the fields that a client sends later to get only changed rows.
        frame = _InitialData(
            ServerEvent.INITIAL_DATA,
            Raw(snapshot.rows),
            snapshot.revision,
            snapshot.epoch,
            snapshot.full,
        )
        return Message(msgspec.json.encode(frame))


def reply_frame(identifier: bytes, json: bytes) -> Message:
    """Encode a reply under the id of its event.

    :param identifier: JSON.
    :param json: an object with members.
    """
    return Message(b'{"id":%b,%b' % (identifier, json[1:]))
