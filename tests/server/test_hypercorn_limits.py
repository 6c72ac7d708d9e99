from __future__ import annotations

import pytest
from hypercorn.protocol.ws_stream import FrameTooLargeError
from wsproto.events import BytesMessage, TextMessage

from gbs_actor.server.hypercorn_limits import BoundedBuffer


@pytest.mark.parametrize("fragment", [TextMessage("x" * 40), BytesMessage(b"x" * 40)])
def test_of_a_message_that_is_too_large_nothing_is_kept(
    fragment: TextMessage | BytesMessage,
) -> None:
    buffer = BoundedBuffer(100)
    for _ in range(2):
        buffer.extend(fragment)
    for _ in range(3):
        with pytest.raises(FrameTooLargeError):
            buffer.extend(fragment)
        assert buffer.value is None


def test_a_message_may_be_as_large_as_the_limit() -> None:
    buffer = BoundedBuffer(100)
    buffer.extend(TextMessage("x" * 60))
    buffer.extend(TextMessage("y" * 40))
    assert buffer.to_message()["text"] == "x" * 60 + "y" * 40
