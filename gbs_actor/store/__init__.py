"""Durable retreats: their state, and the log of their changes.

Rooms use the :class:`~gbs_actor.store.protocol.Store` protocol only; operators' commands use
:class:`~gbs_actor.store.protocol.AdminStore`. Both are implemented twice, and
``tests/store/test_contract.py`` tests both implementations::

    protocol            Store, AdminStore and their errors
      |-- memory        MemoryStore: for tests, and as the model of the contract
      |     |-- memory_retreat  one retreat: its rows, its log, commits, deltas
      |     `-- memory_lock     its lock
      `-- postgres      PostgresStore
            |-- locking   a retreat that one server keeps to itself for a commit
            |-- commit    a batch in one round trip, and what its errors mean
            |-- deltas    versions, epochs, and what a retreat has beyond a revision
            |-- queries   reads, and how rows become records
            |-- history   reads of the log
            |-- importing, safety
            |-- migrate   the schema, and which servers a migration is compatible with
            |     |-- running_servers  which run, by their locks; keeping some from running
            |     |-- lock_waits       brief waits for what other programs hold
            |     `-- parameter        what only a superuser can allow
            |-- adoption  of a database with other programs' tables
            |-- rights    those that a server needs
            |-- notifications  LISTEN and NOTIFY, for the bus
            `-- database  connections, timeouts, reads and writes
                  |-- lease   advisory locks: one server per database, or several nodes
                  |-- pool    connections, each checked out for one call
                  `-- connection  DbConnection: deadlines, and what errors mean
                        |-- event_loop  what asyncpg needs of asyncio, on Trio
                        `-- PostgreSQL: yours, or ``embedded``, a child process

Both use ``writes`` (a batch as the fewest row writes), ``limits`` (values that no database
could hold) and ``seed`` (a whole retreat to import).

A batch on its way into the database, one transaction and one round trip::

    Store.commit(attempt)
      writes.collapse       last write to each registration, group and memo
      limits.fault_in       values no database could hold -> CommitRefused, nothing is sent
      commit.Commits.run    wait for the lease, check out a connection
      lineup_commit_2($1, …)  an array of rows for each kind of write
         another epoch or revision                     -> Delta: what the retreat has beyond it
         a row is not as expected               GB001  -> Delta, incomplete
         a repeatable command is in the log     GB002  -> RepeatedCommands
         another program holds a row for 200 ms 55P03  -> RowsLocked
         connection lost, no reply in time             -> OutcomeUnknown; the room fences

The schema is in ``postgres/migrations``: numbered, applied once, never edited. The log is
pruned after ``history_days`` and compared with the rows by ``verification``.
"""
