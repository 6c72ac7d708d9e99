"""The session machine against :class:`~scripts.fuzz.session_model.Model`."""

from __future__ import annotations

from typing import Final, TypeVar

from scripts.fuzz.choices import Choices
from scripts.fuzz.session_machine import SessionMachine
from scripts.fuzz.session_model import ARRAYS, AUTHS, EVENTS, KNOWN, NONSENSE, UNKNOWN, Model, Place
from scripts.fuzz.target import Target

Payload = TypeVar("Payload")

_ACK_IDS: Final = (None, 0, 7)
_COUNTS: Final = (None,) * 24 + (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4)


def check(data: bytes) -> None:
    choices = Choices(data)
    model = Model()
    while choices.left and not model.over:
        _step(model, choices)


def _step(model: Model, choices: Choices) -> None:
    """Do one thing, mostly one that does not end the walk."""
    if model.announced is not None and not choices.flip(16):
        model.attachment(choices.take(20))
        return
    any_met = any(place is not Place.NEVER for place in model.connection_limit.values())
    act = choices.below(12)
    if act < 3 or (not any_met and not choices.flip(16)):
        new = [
            name for name in (*KNOWN, *UNKNOWN) if model.connection_limit.get(name) is not Place.IN
        ]
        model.connect(_namespace(choices, new), _one(choices, AUTHS))
        return
    met = [name for name in KNOWN if model.connection_limit[name] is not Place.NEVER]
    namespace = _namespace(choices, met)
    if act < 7:
        ack_id, count = choices.pick(_ACK_IDS), choices.pick(_COUNTS)
        model.event(namespace, ack_id, _one(choices, EVENTS), count)
    elif act < 9:
        ack_id, count = choices.pick(_ACK_IDS), choices.pick(_COUNTS)
        model.ack(namespace, ack_id, _one(choices, ARRAYS), count)
    elif act == 9:
        model.leave(namespace, '"x"' if choices.flip(16) else "")
    elif act == 10:
        if namespace in KNOWN:
            model.put_out(namespace)
        model.let_in()
    elif choices.flip(8):
        model.nonsense(choices.pick(NONSENSE))
    elif choices.flip(8):
        model.attachment(b"")


def _namespace(choices: Choices, fitting: list[str]) -> str:
    if choices.flip(32) or not fitting:
        return choices.pick(KNOWN + UNKNOWN)
    return choices.pick(fitting)


def _one(choices: Choices, payloads: tuple[Payload, ...]) -> Payload:
    """Pick a payload: a good one mostly, or the walk ends too soon."""
    while True:
        payload = choices.pick(payloads)
        if not isinstance(payload, str) or choices.flip(64):
            return payload


TARGET = Target("session", check, max_size=256, slice=3_000, machine=SessionMachine)
