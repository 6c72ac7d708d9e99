"""Messages that are joined, and cut out of what was joined."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.socketio import Message

TEXTS = st.lists(st.binary(max_size=200), min_size=2, max_size=6)


@given(TEXTS, st.data())
def test_what_is_cut_out_of_a_bundle_is_as_if_it_was_built_alone(
    texts: list[bytes], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(texts) - 1))
    end = data.draw(st.integers(start + 1, len(texts)))
    messages = [Message(text, key=number) for number, text in enumerate(texts)]
    cut = Message.bundle(messages).cut(start, end)
    alone = Message.bundle(Message(text) for text in texts[start:end])
    assert cut.websocket == alone.websocket
    assert cut.deflated == alone.deflated
    assert cut.count == end - start
    assert list(cut.parts) == messages[start:end]
    around = Message.bundle([Message(b"before"), cut, Message(b"behind")])
    assert list(around.parts)[1:-1] == messages[start:end]
