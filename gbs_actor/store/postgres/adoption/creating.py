"""The statements that create what a schema has."""

from __future__ import annotations

from gbs_actor.store.postgres.adoption.catalog import Column, Function, Relation

_STORAGES = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}


def column_definition(name: str, column: Column, *, required: bool = True) -> str:
    """Return a column as CREATE TABLE has it.

    :param required: keep NOT NULL.
    """
    parts = [name, column.type]
    if column.identity:
        kind = "ALWAYS" if column.identity == "a" else "BY DEFAULT"
        parts.append(f"GENERATED {kind} AS IDENTITY")
    if column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if column.required and required:
        parts.append("NOT NULL")
    return " ".join(parts)


def create_relation(relation: Relation) -> str:
    """Return what creates a table (with its constraints, without indexes), a view or a type."""
    if relation.kind == "v":
        return f"CREATE VIEW {relation.name} AS\n{relation.definition.rstrip().rstrip(';')}"
    if relation.kind == "c":
        attributes = ", ".join(f"{name} {each.type}" for name, each in relation.columns.items())
        return f"CREATE TYPE {relation.name} AS ({attributes})"
    parts = [column_definition(name, column) for name, column in relation.columns.items()]
    parts += [f"CONSTRAINT {each.name} {each.definition}" for each in relation.constraints]
    unlogged = "UNLOGGED " if relation.unlogged else ""
    options = f" WITH ({relation.options})" if relation.options else ""
    lines = ",\n    ".join(parts)
    created = f"CREATE {unlogged}TABLE {relation.name} (\n    {lines}\n){options}"
    for name, column in relation.columns.items():
        if column.storage is not None:
            kind = _STORAGES[column.storage]
            created += f";\nALTER TABLE {relation.name} ALTER COLUMN {name} SET STORAGE {kind}"
    return created


def create_function(name: str, function: Function) -> str:
    """Return what creates or replaces a function."""
    created = function.definition.rstrip()
    if not function.public:
        created += f";\nREVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC"
    return created
