"""Seeds that have shown the planted bugs: looked at first, so that a test takes no time.

They are those of ``python -m scripts.planted_bugs --known``. A change of the planner makes them
others; then a test searches, and takes longer.
"""

from __future__ import annotations

from typing import Final

KNOWN: Final[dict[str, int]] = {
    "leaders are moved by an assignment of many": 5,
    "the log has the revision of a value in place of its origin": 45,
    "a group that is deleted keeps its memo": 7,
    "the board has the groups of a batch that was rejected": 4,
    "the board has the memos of a batch that was rejected": 34,
    "an id is not looked up in the log as long as memory has room": 16,
    "a repeat in the batch of its original is not recognised": 6,
    "an id that was found in the log is not kept": 3,
    "the base revision of an epoch that has ended counts": 7,
    "what changes nothing is answered before its commit": 3,
    "a rejection stays as it is if the change that it rests on fails": 94,
    "an unknown outcome is taken for success": 7,
    "an unknown outcome is looked up without a fence": 7,
    "an older entry is taken for that of a lost commit": 30,
    "a batch that failed is decided on the board of before": 10,
    "what was being committed is answered as not done": 58,
    "a commit is cancelled with its room, and answered as not done": 58,
    "a commit that has taken the fence's revision is not looked for": 39,
    "the store commits a command again": 3,
    "since is exclusive for one who resumes": 37,
    "what a client was sent in another room counts in this one": 80,
    "what was sent in a room is forgotten when another is entered": 80,
    "of a row that changes twice the last state is sent in place of the first": 22,
    "of a part that changes twice the last state is sent in place of the first": 22,
    "a piece is cut out of rows that occur twice": 135,
    "a group is sent with the members of the batch's first change": 4,
    "a repeat shows the revision of the group in the batch form": 108,
    "a conflict shows the revision of the group in the batch form": 36,
    "one who gets a reply is taken to have the whole batch": 131,
    "who is in the room stays there when its epoch ends": 8,
    "an interruption of the store does not wake the room": 53,
    "who waits until it has left is not woken": 3,
    "a mark that is rejected is not counted as replied to": 4,
    "who leaves stays in the list of who is there": 3,
    "who joins another room stays in the former one": 3,
    "a mark of who has left lasts until it expires": 5,
    "a room that is stopped drops what is queued": 13,
    "a leave is answered and not carried out while the store is down": 13,
    "an expired token ends a connection with the code of a revoked grant": 25,
    "a client stays in a room that it may not read any more": 32,
    "a shutdown ends connections as a restart of a room does": 5,
    "an event that exceeds a rate is not answered": 18,
    "a client whose token expires has no time to renew it": 2,
    "a token that was renewed is not watched": 2,
    "a session that was ended for good is resumed": 1,
}
