"""The session model as a state machine of Hypothesis, which looks for the shortest way to fail."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from scripts.fuzz.session_model import (
    ARRAYS,
    AUTHS,
    EVENTS,
    KNOWN,
    MAX_ATTACHMENTS,
    MAX_BYTES,
    NONSENSE,
    UNKNOWN,
    Auth,
    Model,
)

_namespaces = st.sampled_from(KNOWN + UNKNOWN)
_ack_ids = st.none() | st.integers(0, 10**16 - 1)
_counts = st.none() | st.integers(0, MAX_ATTACHMENTS + 1)


class SessionMachine(RuleBasedStateMachine):
    """Says anything to a session until that closes the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    def _is_open(self) -> bool:
        return not self.model.over

    @precondition(lambda self: self.model.over)
    @rule()
    def come_back(self) -> None:
        self.model = Model()

    @precondition(_is_open)
    @rule(namespace=_namespaces, auth=st.sampled_from(AUTHS))
    def connect(self, namespace: str, auth: tuple[str, Auth] | str) -> None:
        self.model.connect(namespace, auth)

    @precondition(_is_open)
    @rule(namespace=_namespaces, payload=st.sampled_from(("", "", '"x"', "{}")))
    def leave(self, namespace: str, payload: str) -> None:
        self.model.leave(namespace, payload)

    @precondition(_is_open)
    @rule(namespace=_namespaces, ack_id=_ack_ids, payload=st.sampled_from(EVENTS), count=_counts)
    def emit(
        self,
        namespace: str,
        ack_id: int | None,
        payload: tuple[str, str, bytes | None] | str,
        count: int | None,
    ) -> None:
        self.model.event(namespace, ack_id, payload, count)

    @precondition(_is_open)
    @rule(namespace=_namespaces, ack_id=_ack_ids, payload=st.sampled_from(ARRAYS), count=_counts)
    def acknowledge(
        self,
        namespace: str,
        ack_id: int | None,
        payload: tuple[str] | str,
        count: int | None,
    ) -> None:
        self.model.ack(namespace, ack_id, payload, count)

    @precondition(lambda self: self._is_open() and self.model.announced is not None)
    @rule(payload=st.binary(max_size=MAX_BYTES))
    def attach(self, payload: bytes) -> None:
        self.model.attachment(payload)

    @precondition(_is_open)
    @rule(text=st.sampled_from(NONSENSE))
    def talk_nonsense(self, text: str) -> None:
        self.model.nonsense(text)

    @precondition(_is_open)
    @rule(namespace=st.sampled_from(KNOWN))
    def be_put_out(self, namespace: str) -> None:
        self.model.put_out(namespace)

    @precondition(_is_open)
    @rule()
    def be_let_in(self) -> None:
        self.model.let_in()
