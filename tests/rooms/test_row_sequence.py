"""Pieces of changed rows."""

from __future__ import annotations

from gbs_actor.gateway.namespace.peer import SocketIOFormat
from gbs_actor.rooms.delivery import EncodedRow
from gbs_actor.rooms.row_sequence import RowSequence
from gbs_actor.socketio import Message


class CountingFormat(SocketIOFormat):
    """Knows which rows it has encoded."""

    def __init__(self) -> None:
        super().__init__("/")
        self.encoded: list[int] = []

    def update(self, row: EncodedRow) -> Message:
        self.encoded.append(row.id)
        return super().update(row)


def test_a_piece_of_the_latest_rows_encodes_those_alone() -> None:
    form = CountingFormat()
    rows = [EncodedRow(number, number, b"{}") for number in range(1, 3_001)]
    RowSequence(rows).build_at_once(form, 2_800, 3_000)
    assert form.encoded == list(range(2_801, 3_001))


def test_the_pieces_around_replies_encode_each_row_once() -> None:
    form = CountingFormat()
    rows = [EncodedRow(number, number, b"{}") for number in range(1, 11)]
    sequence = RowSequence(rows)
    for start, end in ((0, 3), (3, 7), (7, 10), (0, 10)):
        sequence.build_at_once(form, start, end)
    assert form.encoded == list(range(1, 11))
