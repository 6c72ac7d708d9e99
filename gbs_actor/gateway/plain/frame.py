"""What a client says in one text frame: ``{"id"?: any, "event": name, "data": …}``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, NoReturn

import msgspec
from msgspec import UNSET, Raw, UnsetType

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
        return len(self.id or b"") + len(self.data or b"")


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
        return Said(None, problem="The frame is nested too deeply.")
    # Copied, as the raw values would keep the whole frame.
    identifier = None if frame.id is UNSET else bytes(frame.id)
    if frame.event is UNSET:
        return Said(identifier, problem="event is required.")
    try:
        name = _name.decode(frame.event)
    except msgspec.DecodeError:
        return Said(identifier, problem="event must be a string.")
    return Said(identifier, name, None if frame.data is UNSET else bytes(frame.data))


def _take_apart_odd(text: str) -> Said:
    """Tell JSON that only our decoder refuses (lone surrogates) from what is no JSON.

    So that somebody who waits for an answer gets it.
    """
    try:
        frame = json.loads(text, parse_constant=_refuse_constant)
        identifier = None
        if isinstance(frame, dict) and "id" in frame:
            identifier = json.dumps(frame["id"], allow_nan=False).encode()
    except RecursionError:
        return Said(None, problem="The frame is nested too deeply.")
    except ValueError:
        return Said(None, problem="The frame is not valid JSON.")
    return Said(identifier, problem="The frame holds text that is no Unicode.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
