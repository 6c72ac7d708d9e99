"""What a client says in one text frame: ``{"id"?: any, "event": name, "data": …}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gbs_actor.socketio import without_surrogates

_SHAPE: Final = 'A frame is one JSON object: {"id"?, "event", "data"}.'


class _Frame(msgspec.Struct):
    id: Raw | UnsetType = UNSET
    event: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET


_frame: Final = msgspec.json.Decoder(_Frame)
_name: Final = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class Said:
    """A frame, taken apart."""

    id: bytes | None
    """JSON as it came; ``None``: the client waits for no answer. ``null`` is an id."""
    name: str = ""
    """The event's; "" where there is none."""
    data: bytes | None = None
    """JSON as it came; ``None`` where there is none."""
    problem: str | None = None
    """Why it is no event, in one sentence for the person who wrote the client."""

    @property
    def size(self) -> int:
        """Bytes that are kept of it."""
        return len(self.id or b"") + len(self.name) + len(self.data or b"")


_TOO_DEEP: Final = Said(None, problem="The frame is nested too deeply.")


def take_apart(text: str) -> Said:
    """Take a frame apart, whatever it is. Its data are not looked at.

    Of two members with the same name the later one counts; others are ignored.
    """
    try:
        frame = _frame.decode(text)
    except msgspec.ValidationError:
        return Said(None, problem=_SHAPE)
    except (msgspec.DecodeError, UnicodeError):
        return _take_apart_odd(text)
    except RecursionError:
        return _TOO_DEEP
    identifier = _id(frame)
    if frame.event is UNSET:
        return Said(identifier, problem="event is required.")
    try:
        name = _name.decode(frame.event)
    except msgspec.DecodeError:
        return Said(identifier, problem="event must be a string.")
    return Said(identifier, name, None if frame.data is UNSET else bytes(frame.data))


def _id(frame: _Frame) -> bytes | None:
    # Copied, as the raw value would keep the whole frame.
    return None if frame.id is UNSET else bytes(frame.id)


def _take_apart_odd(text: str) -> Said:
    """Tell JSON that only our decoder refuses (lone surrogates) from what is no JSON.

    So that somebody who waits for an answer gets it. Surrogates in the id itself are lost.
    """
    try:
        identifier = _id(_frame.decode(without_surrogates(text)))
    except msgspec.ValidationError:
        return Said(None, problem=_SHAPE)
    except (msgspec.DecodeError, UnicodeError):
        return Said(None, problem="The frame is not valid JSON.")
    except RecursionError:
        return _TOO_DEEP
    return Said(identifier, problem="The frame holds text that is no Unicode.")
