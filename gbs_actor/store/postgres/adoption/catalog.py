"""What a schema has: tables, views, types and functions, as the database describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gbs_actor.store.postgres.connection import DbConnection

# Where the name is NULL, every object of the schema is read.
_RELATIONS = """
SELECT relname AS name, relkind::text AS kind, relpersistence = 'u' AS unlogged,
       coalesce(array_to_string(reloptions, ', '), '') AS options,
       CASE relkind WHEN 'v' THEN pg_get_viewdef(oid, true) ELSE '' END AS definition,
       pg_has_role(relowner, 'USAGE') AS own, pg_get_userbyid(relowner) AS owner
    FROM pg_class
    WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p', 'v', 'c', 'm', 'f')
        AND ($2::text[] IS NULL OR relname = ANY ($2))
    ORDER BY oid
"""
_COLUMNS = """
SELECT relname AS relation, attname AS name, format_type(atttypid, atttypmod) AS type,
       attnotnull AS required, attidentity::text AS identity, attgenerated <> '' AS generated,
       pg_get_expr(adbin, adrelid, true) AS default_value,
       CASE WHEN attstorage <> typstorage THEN attstorage::text END AS storage
    FROM pg_class
    JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    JOIN pg_type ON pg_type.oid = atttypid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE pg_class.relnamespace = to_regnamespace($1)
        AND ($2::text[] IS NULL OR relname = ANY ($2))
    ORDER BY attrelid, attnum
"""
_CONSTRAINTS = """
SELECT relname AS relation, conname AS name, contype::text AS kind,
       pg_get_constraintdef(pg_constraint.oid, true) AS definition,
       ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS key (number, position)
           JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY position)
           AS columns,
       (SELECT target.relname FROM pg_class AS target WHERE target.oid = confrelid) AS target,
       ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS key (number, position)
           JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY position)
           AS target_columns
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE relnamespace = to_regnamespace($1) AND ($2::text[] IS NULL OR relname = ANY ($2))
        AND contype IN ('p', 'u', 'c', 'f')
    ORDER BY pg_constraint.oid
"""
_INDEXES = """
SELECT relation.relname AS relation, index.relname AS name, indisunique AS is_unique,
       indimmediate AND indisvalid AS usable, pg_get_indexdef(indexrelid, 0, true) AS definition,
       ARRAY(SELECT pg_get_indexdef(indexrelid, position, true)
           FROM generate_series(1, indnkeyatts) AS position) AS keys,
       coalesce(pg_get_expr(indpred, indrelid, true), '') AS predicate,
       EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
           AS of_constraint
    FROM pg_index
    JOIN pg_class AS relation ON relation.oid = indrelid
    JOIN pg_class AS index ON index.oid = indexrelid
    WHERE relation.relnamespace = to_regnamespace($1)
        AND ($2::text[] IS NULL OR relation.relname = ANY ($2))
    ORDER BY indexrelid
"""
_TRIGGERS = """
SELECT relname AS relation, tgname AS name, tgenabled IN ('O', 'A') AS enabled,
       pg_get_triggerdef(pg_trigger.oid, true) AS definition
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE relnamespace = to_regnamespace($1) AND ($2::text[] IS NULL OR relname = ANY ($2))
        AND NOT tgisinternal
    ORDER BY pg_trigger.oid
"""
_FUNCTIONS = """
SELECT format('%s(%s)', proname, pg_get_function_identity_arguments(oid)) AS name,
       pg_get_functiondef(oid) AS definition,
       has_function_privilege('public', oid, 'EXECUTE') AS public,
       prorettype = 'trigger'::regtype AS of_trigger
    FROM pg_proc
    WHERE pronamespace = to_regnamespace($1) AND prokind = 'f' AND proname ~ '^(lineup|session)_'
    ORDER BY oid
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or an attribute of a type."""

    type: str
    required: bool
    default: str | None
    identity: str
    """"a" (always), "d" (by default) or "" (none)."""
    generated: bool
    storage: str | None
    """Where it is not that of the type."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table."""

    name: str
    kind: str
    """"p", "u", "c" or "f"."""
    definition: str
    columns: tuple[str, ...]
    target: str | None
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """An index, also of a constraint."""

    name: str
    definition: str
    unique: bool
    usable: bool
    """Whether it is valid, and checks each row at once."""
    keys: tuple[str, ...]
    predicate: str
    of_constraint: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of a table."""

    definition: str
    enabled: bool


@dataclass(slots=True)
class Relation:
    """A table, view or composite type."""

    name: str
    kind: str
    """As in pg_class: "r", "v", "c" and so on."""
    unlogged: bool
    options: str
    definition: str
    own: bool
    """Whether the user has the rights of its owner."""
    owner: str
    columns: dict[str, Column] = field(default_factory=dict)
    constraints: list[Constraint] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    triggers: dict[str, Trigger] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the line-up."""

    definition: str
    public: bool
    """Whether everybody may call it."""
    of_trigger: bool


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a schema has, in the order in which it was created."""

    relations: Mapping[str, Relation]
    functions: Mapping[str, Function]


async def read_catalog(
    connection: DbConnection, schema: str, names: Sequence[str] | None = None, *, deadline: float
) -> Catalog:
    """Read what a schema has, which has to be the first of the search path.

    :param schema: its name, quoted where SQL needs that.
    :param names: of relations; others are left out. ``None``: all.
    """
    relations = {
        row["name"]: Relation(**row)
        for row in await connection.fetch(_RELATIONS, schema, names, deadline=deadline)
    }
    for row in await connection.fetch(_COLUMNS, schema, names, deadline=deadline):
        if (relation := relations.get(row["relation"])) is not None:
            relation.columns[row["name"]] = Column(
                row["type"],
                row["required"],
                row["default_value"],
                row["identity"],
                row["generated"],
                row["storage"],
            )
    for row in await connection.fetch(_CONSTRAINTS, schema, names, deadline=deadline):
        relations[row["relation"]].constraints.append(
            Constraint(
                row["name"],
                row["kind"],
                row["definition"],
                tuple(row["columns"]),
                row["target"],
                tuple(row["target_columns"]),
            )
        )
    for row in await connection.fetch(_INDEXES, schema, names, deadline=deadline):
        relations[row["relation"]].indexes.append(
            Index(
                row["name"],
                row["definition"],
                row["is_unique"],
                row["usable"],
                tuple(row["keys"]),
                row["predicate"],
                row["of_constraint"],
            )
        )
    for row in await connection.fetch(_TRIGGERS, schema, names, deadline=deadline):
        relations[row["relation"]].triggers[row["name"]] = Trigger(
            row["definition"], row["enabled"]
        )
    functions = {
        # Its name is always qualified.
        row["name"]: Function(
            row["definition"].replace(f" {schema}.", " ", 1), row["public"], row["of_trigger"]
        )
        for row in await connection.fetch(_FUNCTIONS, schema, deadline=deadline)
    }
    return Catalog(relations, functions)
