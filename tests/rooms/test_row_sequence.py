"""Pieces of changed rows."""

from __future__ import annotations

import itertools

import pytest

from gbs_actor.gateway.namespace.peer import SocketIOFormat
from gbs_actor.rooms.encoded import EncodedRow
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


@pytest.mark.parametrize("ids", [(1, 2, 3, 4), (1, 2, 1, 3), (5, 5, 5, 5)])
def test_a_piece_is_the_same_whether_or_not_the_whole_was_built_before(
    ids: tuple[int, ...],
) -> None:
    form = SocketIOFormat("/")
    rows = [
        EncodedRow(id_, revision, b'{"revision":%d}' % revision)
        for revision, id_ in enumerate(ids, start=1)
    ]
    behind_whole = RowSequence(rows)
    behind_whole.build_at_once(form, 0, len(rows))
    for start, end in itertools.combinations(range(len(rows) + 1), 2):
        alone = RowSequence(rows).build_at_once(form, start, end)
        assert behind_whole.build_at_once(form, start, end).websocket == alone.websocket
        last = {row.id: row for row in rows[start:end]}
        latest = sorted(last.values(), key=lambda row: row.revision)
        assert alone.websocket == form.bundle([form.update(row) for row in latest]).websocket
