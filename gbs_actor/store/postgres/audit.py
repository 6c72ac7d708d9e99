"""The statements of the audit, and how its rows become records."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from gbs_actor.store.audit import AuditEntry, AuditQuery, AuditRecord
from gbs_actor.store.postgres.connection import Row

_FIELDS = AuditEntry.__struct_fields__
"""As the columns are named and ordered."""

APPEND = """
INSERT INTO admin_audit (key, at, operator_id, operator_name, action, target, reason, address,
                         outcome, details)
    SELECT key, at, operator_id, operator_name, action, target, reason, address, outcome, details
        FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[],
                    $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
            WITH ORDINALITY AS entry (key, at, operator_id, operator_name, action,
                                                target, reason, address, outcome, details, number)
        ORDER BY number
    ON CONFLICT (key) DO NOTHING
"""
"""Arguments from :func:`append_arguments`. May be repeated."""

READ = """
SELECT id, at, operator_id, operator_name, action, target, reason, address, outcome, details
    FROM admin_audit
    WHERE ($1::bigint IS NULL OR id < $1)
        AND ($2::text IS NULL OR operator_name = $2 OR operator_id::text = $2)
        AND ($3::text IS NULL OR starts_with(action, $3))
        AND ($4::text IS NULL OR target = $4)
    ORDER BY id DESC LIMIT $5
"""
"""Arguments from :func:`read_arguments`."""

PRUNE = """
WITH pruned AS (DELETE FROM admin_audit WHERE at < $1 RETURNING 1)
SELECT count(*) AS pruned FROM pruned
"""


def append_arguments(entries: Mapping[UUID, AuditEntry]) -> tuple[list[object], ...]:
    """Return the columns of entries, each as a list."""
    columns = ([getattr(entry, name) for entry in entries.values()] for name in _FIELDS)
    return (list(entries), *columns)


def read_arguments(query: AuditQuery) -> tuple[object, ...]:
    """Return the arguments of :data:`READ`."""
    return (query.before, query.operator, query.action, query.target, query.limit)


def record(row: Row) -> AuditRecord:
    """Return a row as a record."""
    return AuditRecord(id=row["id"], **{name: row[name] for name in _FIELDS})
