"""The domain of the line-up: people, groups and memos; pure, synchronous, without I/O.

The moving parts::

    store ── Retreat ──> Board ── draft() ──> Draft
                           ^                    | decide(Command)
                           |                    v
                         apply(Change) <── Change or Rejection
                                (once it is committed)

- ``commands``, ``rules``: what staff may ask for, and which values are accepted.
- ``names``: the name that others see.
- ``board``: the line-up as of its last committed change, and a ``Row`` per person.
- ``draft``: decides commands one on top of the other; the board stays as it is.
- ``bulk``, ``groups``, ``undo``: commands that may change many fields; each becomes a ``plan`` of
  the values that fields are to get, which is carried out in one place.
- ``basis``, ``problems``: what a command rests on, and what stands in the way of its parts.
- ``changes``, ``codes``: an accepted command with every row that reads differently, or why
  it was rejected; the log's entries.
- ``state``, ``row``, ``fields``, ``records``: the indexes both work on, how a row is built, the
  fields that change, what is stored; ``schedules``: what people register for.
- ``time_travel``, ``replay``: the line-up of an earlier revision, from the log; log and rows
  compared.
"""
