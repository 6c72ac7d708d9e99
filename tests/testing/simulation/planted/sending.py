"""Bugs in what a client is sent, and in what order."""

from __future__ import annotations

from typing import Final

from gbs_actor.rooms.fan_out import FanOut
from gbs_actor.rooms.loading import Loading
from gbs_actor.rooms.part_sequence import PartSequence
from gbs_actor.rooms.row_sequence import RowSequence
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.store.protocol import SessionLocation
from tests.testing.simulation.planted.bug import bug

SENDING: Final = (
    bug(
        "since is exclusive for one who joins",
        "since",
        (
            EncodedRows.snapshot,
            "self._array(since or 0,",
            "self._array(0 if since is None else since + 1,",
        ),
    ),
    bug(
        "since is exclusive for one who resumes",
        "since",
        (Subscriptions._resume, "resume.since - 1", "resume.since"),
    ),
    bug(
        "a partial list is kept beyond the next change",
        "since",
        (EncodedRows._replace, "self._parts.clear()", "pass"),
    ),
    bug(
        "what a client was sent in another room counts in this one",
        "moves",
        (
            SessionLocation.since,
            " or offset <= self.known_elsewhere",
            "",
        ),
    ),
    bug(
        "what was sent in a room is forgotten when another is entered",
        "moves",
        (
            Subscriber.enter,
            "self.known_elsewhere = max(self.known_elsewhere, self.sent_revision)",
            "pass",
        ),
    ),
    bug(
        "the replies of a batch come after all of its rows",
        "calm",
        (
            FanOut._send_with_replies,
            "if reply is None:\n            end = len(sequence)",
            "if True:\n            end = len(sequence)",
        ),
    ),
    bug(
        "a long piece goes out in several messages",
        "groups",
        (
            FanOut._send_with_replies,
            "else reply.end",
            "else reply.end\n            end = min(end, position + 2)",
        ),
    ),
    bug(
        "of a row that changes twice the first state is sent",
        "calm",
        (
            RowSequence._build,
            "last.pop(row_id, None)\n            last[row_id] = position",
            "last.setdefault(row_id, position)",
        ),
    ),
    bug(
        "of a row that changes twice the last state is sent in place of the first",
        "calm",
        (RowSequence._build, "last.pop(row_id, None)", "pass"),
    ),
    bug(
        "of a part that changes twice the last state is sent in place of the first",
        "calm",
        (PartSequence._build, "last.pop(part.key, None)", "pass"),
    ),
    bug(
        "a piece is cut out of rows that occur twice",
        "batches",
        (RowSequence.piece, "if piece is None and not self._repeats:", "if piece is None:"),
    ),
    bug(
        "a group is sent with the members of the batch's first change",
        "groups",
        (
            PartSequence.of,
            "members = {row.gbs_number: row for row in change.rows}",
            "members = members if parts else {row.gbs_number: row for row in change.rows}",
        ),
    ),
    bug(
        "a change of its group raises a row's revision in the batch form",
        "groups",
        (EncodedRows._array, "if batched:", "if batched and not from_revision:"),
    ),
    bug(
        "a repeat shows the revision of the group in the batch form",
        "repeats",
        (
            FanOut._accepted,
            "row is not None and own_revision is not None",
            "row is not None and repeat.revision == 0",
        ),
    ),
    bug(
        "a conflict shows the revision of the group in the batch form",
        "groups",
        (FanOut._reply, "outcome.row is not None and reply.own_revision is not None", "False"),
    ),
    bug(
        "a reply shows its row as the whole batch leaves it",
        "calm",
        (
            FanOut._reply,
            "row = reply.row\n",
            "row = None if reply.row is None else self._rows.row(reply.row.id)\n",
        ),
    ),
    bug(
        "who is in the room is not sent what others have written",
        "foreign",
        (
            FanOut.catch_up,
            "rows.changed_after(oldest)",
            "rows.changed_after(rows.board.revision)",
        ),
    ),
    bug(
        "one who gets a reply is taken to have the whole batch",
        "crashes",
        (
            FanOut._send_together,
            "subscriber.sent_revision, reply.revision)",
            "subscriber.sent_revision, handle.revision)",
        ),
    ),
    bug(
        "what one who resumes was sent is not noted",
        "foreign",
        (Subscriptions._resume, "subscriber.sent_revision = board.revision", "pass"),
    ),
    bug(
        "who is in the room stays there when its epoch ends",
        "foreign",
        (Loading._replace_board, "retreat.epoch != epoch or ", ""),
    ),
)
