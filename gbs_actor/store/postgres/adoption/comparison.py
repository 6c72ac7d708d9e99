"""What a database lacks of a schema, as statements that add it, and what nobody can add for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gbs_actor.store.postgres.adoption import needs
from gbs_actor.store.postgres.adoption.catalog import (
    Catalog,
    Column,
    Constraint,
    Index,
    Relation,
)
from gbs_actor.store.postgres.adoption.creating import (
    column_definition,
    create_function,
    create_relation,
)
from gbs_actor.store.postgres.connection import DbConnection

_CAST = re.compile(r"::(?:character varying|[a-z]+)(?:\(\d+\))?(?:\[\])?")
_KNOWN_SEQUENCE = re.compile(r"nextval\('(?:[^']|'')+'::regclass\)")


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is added."""

    name: str
    sql: str
    """Statements; no ";" at the end."""
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done to a database before servers can use it."""

    steps: Sequence[Step]
    obstacles: Sequence[str]
    """What has to be corrected first, by somebody who knows the other programs: sentences."""


class Comparison:
    """Compares a database with a schema.

    :param wanted: the schema.
    :param actual: what the database has of it, and beyond it.
    :param connection: counts rows.
    """

    def __init__(
        self, wanted: Catalog, actual: Catalog, connection: DbConnection, deadline: float
    ) -> None:
        self._wanted = wanted
        self._actual = actual
        self._connection = connection
        self._deadline = deadline
        self._tables: list[Step] = []
        self._views: list[Step] = []
        self._rules: list[Step] = []
        self._triggers: list[Step] = []
        self._obstacles: list[str] = []

    async def plan(self) -> Plan:
        """Return what is missing. Reads rows only where that decides whether it can be added."""
        for wanted in self._wanted.relations.values():
            actual = self._actual.relations.get(wanted.name)
            if actual is None:
                self._create(wanted)
            elif wanted.kind != ("r" if actual.kind == "p" else actual.kind):
                self._obstacles.append(f"{wanted.name} is not a {_KINDS[wanted.kind]}")
            elif wanted.kind == "r":
                await self._compare_table(wanted, actual)
            elif not _same_columns(wanted, actual):
                self._obstacles.append(
                    f"the {_KINDS[wanted.kind]} {wanted.name} is another one; drop or rename it"
                )
        functions = [
            Step(f"function {name}", create_function(name, function), "servers call it")
            for name, function in self._wanted.functions.items()
            if self._actual.functions.get(name) != function
        ]
        steps = [*self._tables, *self._views, *functions, *self._rules, *self._triggers]
        return Plan(steps, self._obstacles)

    def _create(self, wanted: Relation) -> None:
        if wanted.name in needs.INDISPENSABLE:
            self._obstacles.append(
                f"there is no table {wanted.name}: without it nobody is registered for anything"
            )
            return
        what = f"{_KINDS[wanted.kind]} {wanted.name}"
        steps = self._tables if wanted.kind == "r" else self._views
        steps.append(Step(what, create_relation(wanted), "the line-up's own"))
        if (content := needs.CONTENTS.get(wanted.name)) is not None:
            steps.append(Step(f"row of {wanted.name}", content, "servers expect it"))
        for index in wanted.indexes:
            if not index.of_constraint:
                self._add_index(index)
        self._add_triggers(wanted, None)

    async def _compare_table(self, wanted: Relation, actual: Relation) -> None:
        before = len(self._tables) + len(self._rules) + len(self._triggers)
        for name, column in wanted.columns.items():
            if name in actual.columns:
                await self._compare_column(actual, name, column)
            else:
                await self._add_column(wanted, name, column)
        if wanted.name in needs.INSERTED:
            await self._check_inserts(wanted, actual)
        for constraint in wanted.constraints:
            await self._compare_constraint(constraint, actual)
        for index in wanted.indexes:
            if not index.of_constraint:
                await self._compare_index(index, actual)
        self._add_triggers(wanted, actual)
        if len(self._tables) + len(self._rules) + len(self._triggers) > before and not actual.own:
            self._obstacles.append(
                f"the table {actual.name} lacks something, and only its owner {actual.owner} can "
                "add it: use that user, or one with its rights"
            )

    # -- columns

    async def _compare_column(self, table: Relation, name: str, wanted: Column) -> None:
        actual, column = table.columns[name], f"{table.name}.{name}"
        default = needs.DEFAULTS.get((table.name, name))
        if not needs.fits(table.name, name, wanted.type, actual.type):
            self._obstacles.append(
                f"{column} is {actual.type}, and has to be {wanted.type} (ALTER TABLE "
                f"{table.name} ALTER COLUMN {name} TYPE {wanted.type})"
            )
            return
        if wanted.required and not actual.required:
            if missing := await self._count(f"SELECT FROM {table.name} WHERE {name} IS NULL"):
                self._obstacles.append(f"{column} is NULL in {missing}, and has to have a value")
            else:  # which does not mean that nobody will write one
                self._explain_nullable(table.name, name, wanted.default or default)
        if actual.required and (table.name, name) in needs.CLEARED:
            self._obstacles.append(f"{column} is NOT NULL, but servers set it to NULL")
        if wanted.default is not None and actual.default is None and not actual.identity:
            sql = f"ALTER TABLE {table.name} ALTER COLUMN {name} SET DEFAULT {wanted.default}"
            reason = "other programs insert rows without it"
            self._tables.append(Step(f"default of {column}", sql, reason))

    def _explain_nullable(self, table: str, name: str, default: str | None) -> None:
        unless, sql = "leaves it out", ""
        if default is not None:
            unless, sql = "writes NULL", f"ALTER COLUMN {name} SET DEFAULT {default}, "
        self._obstacles.append(
            f"{table}.{name} may be NULL, but servers need a value; if no program {unless}: "
            f"ALTER TABLE {table} {sql}ALTER COLUMN {name} SET NOT NULL"
        )

    async def _add_column(self, table: Relation, name: str, column: Column) -> None:
        what, reason = f"column {table.name}.{name}", needs.reason_of_column(name)
        if any(name in each.columns for each in table.constraints if each.kind == "p"):
            self._obstacles.append(f"{table.name} has no column {name}, its primary key")
            return
        key = table.name, name
        if column.required and column.default is None:
            column = replace(column, default=needs.DEFAULTS.get(key))
        filled = needs.FILLED.get(key)
        if column.required and column.default is None and filled is None:
            rows = await self._count(f"SELECT FROM {table.name}") or "new rows"
            self._obstacles.append(
                f"{table.name} has no column {name} ({column.type}), which servers need, and "
                f"{rows} without a value"
            )
            return
        added = column_definition(name, column, required=filled is None)
        statements = [f"ALTER TABLE {table.name} ADD COLUMN {added}"]
        if (value := needs.VALUES.get(key)) is not None:
            statements.append(f"UPDATE {table.name} SET {name} = {value}")  # noqa: S608  (constants)
        if filled is not None:
            statements += [
                f"ALTER TABLE {table.name} ALTER COLUMN {name} SET NOT NULL",
                filled.strip(),
            ]
        self._tables.append(Step(what, ";\n".join(statements), reason))

    async def _check_inserts(self, wanted: Relation, actual: Relation) -> None:
        """Find out whether rows as servers insert them are accepted."""
        for name, column in actual.columns.items():
            given = column.default is not None or column.identity or column.generated
            if column.required and not given and name not in wanted.columns:
                self._obstacles.append(
                    f"{actual.name}.{name} is NOT NULL without a default, but servers insert rows "
                    "without it"
                )
        if (id_ := actual.columns.get("id")) is None:
            return
        if not id_.identity and id_.default is None:
            self._obstacles.append(f"{actual.name}.id has no sequence, but servers insert rows")
        elif "nextval(" in (id_.default or "") and not _KNOWN_SEQUENCE.search(id_.default or ""):
            self._obstacles.append(
                f"the database does not know which sequence numbers {actual.name}.id (ALTER TABLE "
                f"{actual.name} ALTER COLUMN id SET DEFAULT nextval('…'::regclass))"
            )
        if actual.name == "user_retreat_registration_memo":
            sql = f"SELECT FROM pg_get_serial_sequence('{actual.name}', 'id') AS s WHERE s IS NULL"
            if id_.identity == "a":
                self._obstacles.append(
                    f"{actual.name}.id is GENERATED ALWAYS, but servers choose it (ALTER TABLE "
                    f"{actual.name} ALTER COLUMN id SET GENERATED BY DEFAULT)"
                )
            elif id_.default is not None and await self._count(sql):
                self._obstacles.append(
                    f"no sequence is owned by {actual.name}.id (ALTER SEQUENCE … OWNED BY …)"
                )

    # -- constraints and indexes

    async def _compare_constraint(self, wanted: Constraint, actual: Relation) -> None:
        same = [each for each in actual.constraints if each.kind == wanted.kind]
        match wanted.kind:
            case "p":
                found = any(set(each.columns) == set(wanted.columns) for each in same)
            case "u":
                found = actual.name in needs.DISPENSABLE_UNIQUE or any(
                    index.unique
                    and index.usable
                    and not index.predicate
                    and set(index.keys) == set(wanted.columns)
                    for index in actual.indexes
                )
            case "f":
                found = any(
                    (each.columns, each.target) == (wanted.columns, wanted.target) for each in same
                )
            case _:
                found = any(_plain(each.definition) == _plain(wanted.definition) for each in same)
        if found:
            return
        sql = f"ALTER TABLE {actual.name} ADD CONSTRAINT {wanted.name} {wanted.definition}"
        if wanted.kind in ("p", "u"):
            await self._explain_unique(wanted, actual, sql)
        elif any(each.name == wanted.name for each in actual.constraints):
            self._obstacles.append(
                f"the constraint {wanted.name} of {actual.name} is another one; it has to be "
                f"{wanted.definition}"
            )
        elif rows := await self._violations(wanted, actual):
            self._obstacles.append(
                f"{rows} of {actual.name} violate {wanted.definition}, which servers rely on"
            )
        else:
            reason = (
                "who refers to nothing would vanish from the line-up"
                if wanted.kind == "f"
                else "servers understand no other values"
            )
            what = f"constraint {wanted.name} of {actual.name}"
            self._rules.append(Step(what, sql, reason))

    async def _explain_unique(self, wanted: Constraint, actual: Relation, sql: str) -> None:
        columns = ", ".join(wanted.columns)
        kind = "a primary key" if wanted.kind == "p" else "unique"
        text = f"{actual.name} ({columns}) is not {kind}, which servers rely on"
        if set(wanted.columns) <= actual.columns.keys():
            twice = await self._count(_groups(actual.name, wanted.columns))
            text += f"; {twice} are there more than once" if twice else f" ({sql})"
        self._obstacles.append(text)

    async def _compare_index(self, wanted: Index, actual: Relation) -> None:
        if any(
            index.usable
            and index.unique == wanted.unique
            and index.keys == wanted.keys
            and _plain(index.predicate) == _plain(wanted.predicate)
            for index in actual.indexes
        ):
            return
        if any(index.name == wanted.name for index in actual.indexes):
            self._obstacles.append(
                f"the index {wanted.name} is another one; it has to be {wanted.definition}"
            )
        elif twice := await self._count(_duplicates(wanted, actual)):
            self._obstacles.append(
                f"{twice} of {actual.name} ({', '.join(wanted.keys)}) where {wanted.predicate} are "
                "there more than once, but may be only once"
            )
        else:
            self._add_index(wanted)

    def _add_index(self, wanted: Index) -> None:
        reason = "keeps it to one" if wanted.unique else "finds rows without reading all of them"
        self._rules.append(Step(f"index {wanted.name}", wanted.definition, reason))

    def _add_triggers(self, wanted: Relation, actual: Relation | None) -> None:
        for name, trigger in wanted.triggers.items():
            there = None if actual is None else actual.triggers.get(name)
            if there == trigger:
                continue
            sql = trigger.definition.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1)
            if there is not None and there.definition == trigger.definition:
                sql = f"ALTER TABLE {wanted.name} ENABLE TRIGGER {name}"
            reason = "servers notice what other programs change"
            self._triggers.append(Step(f"trigger {name} of {wanted.name}", sql, reason))

    async def _violations(self, wanted: Constraint, table: Relation) -> str:
        if not set(wanted.columns) <= table.columns.keys():
            return ""  # a new column
        if wanted.target is None:
            condition = wanted.definition.removeprefix("CHECK ")
            return await self._count(f"SELECT FROM {table.name} WHERE NOT {condition}")
        if wanted.target not in self._actual.relations:
            return ""  # an obstacle of its own, or a new table
        pairs = zip(wanted.columns, wanted.target_columns, strict=True)
        equal = " AND ".join(f"target.{theirs} = source.{ours}" for ours, theirs in pairs)
        given = " AND ".join(f"source.{name} IS NOT NULL" for name in wanted.columns)
        target = f"SELECT FROM {wanted.target} AS target WHERE {equal}"
        return await self._count(
            f"SELECT FROM {table.name} AS source WHERE {given} AND NOT EXISTS ({target})"
        )

    async def _count(self, query: str | None) -> str:
        """Return how many rows a query has, in words; "": none."""
        if query is None:
            return ""
        counting = f"SELECT count(*) AS number FROM ({query}) AS found"  # noqa: S608  (catalog names)
        rows = await self._connection.fetch(counting, deadline=self._deadline)
        number = rows[0]["number"]
        return "" if number == 0 else "1 row" if number == 1 else f"{number:,} rows"


_KINDS = {"r": "table", "v": "view", "c": "type"}


def _same_columns(wanted: Relation, actual: Relation) -> bool:
    if wanted.kind == "v":
        return set(wanted.columns) == set(actual.columns)
    return [(name, each.type) for name, each in wanted.columns.items()] == [
        (name, each.type) for name, each in actual.columns.items()
    ]


def _plain(expression: str) -> str:
    """Return an expression without what depends on the exact types of its columns."""
    return re.sub(r"[()\s]", "", _CAST.sub("", expression))


def _duplicates(wanted: Index, table: Relation) -> str | None:
    """Return a query for what is there more than once, but may not be."""
    if not wanted.unique or not set(wanted.keys) <= table.columns.keys():
        return None
    return _groups(table.name, wanted.keys, wanted.predicate)


def _groups(table: str, columns: Sequence[str], predicate: str = "") -> str:
    where = f"WHERE {predicate} " if predicate else ""
    names = ", ".join(columns)
    return f"SELECT FROM {table} {where}GROUP BY {names} HAVING count(*) > 1"
