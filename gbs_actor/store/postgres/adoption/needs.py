"""What servers need of other programs' tables, where the schema alone does not say it."""

from __future__ import annotations

import re
from typing import Final

INDISPENSABLE: Final = frozenset(
    {"univ_group", "grade", "user_profile", "retreat", "user_retreat_registration"}
)
"""Who is registered where: a database without these tables is no existing one."""

DISPENSABLE_UNIQUE: Final = frozenset({"univ_group", "grade"})
"""Tables of which nothing has to be unique but the id."""

INSERTED: Final = frozenset({"gbs", "user_retreat_registration_memo"})
"""Other programs' tables into which servers insert rows."""

CLEARED: Final = frozenset(
    {
        ("user_retreat_registration", "gbs_id"),
        ("user_retreat_registration_memo", "author_id"),
        ("user_retreat_registration_memo", "deleted_at"),
    }
)
"""Columns that servers set to NULL."""

WRITTEN_TEXTS: Final = frozenset(
    {
        ("gbs", "memo"),
        ("user_retreat_registration", "current_leader"),
        ("user_retreat_registration_memo", "text"),
        ("user_retreat_registration_memo", "color"),
    }
)
"""Columns that have to hold texts of any length."""

_KIND: Final = """CASE
    WHEN name ~ '아침|조식' THEN 'BREAKFAST' WHEN name ~ '점심|중식' THEN 'LUNCH'
    WHEN name ~ '저녁|석식' THEN 'DINNER' WHEN name ~ '숙박|취침' THEN 'SLEEP'
    WHEN extract(hour FROM starts_at AT TIME ZONE 'Asia/Seoul') BETWEEN 5 AND 9 THEN 'BREAKFAST'
    WHEN extract(hour FROM starts_at AT TIME ZONE 'Asia/Seoul') BETWEEN 10 AND 14 THEN 'LUNCH'
    WHEN extract(hour FROM starts_at AT TIME ZONE 'Asia/Seoul') BETWEEN 15 AND 20 THEN 'DINNER'
    ELSE 'SLEEP' END"""
DEFAULTS: Final = {
    ("user_retreat_registration", "is_leader"): "false",
    ("user_retreat_registration", "current_leader"): "''",
    ("user_retreat_registration", "created_at"): "now()",
    ("user_retreat_registration", "updated_at"): "now()",
    ("user_retreat_registration_memo", "created_at"): "now()",
    ("user_retreat_registration_memo", "updated_at"): "now()",
    ("retreat", "title"): "''",
}
"""Defaults that the schema does not have, of columns that are added: programs that do not know the
column go on inserting rows."""

VALUES: Final = {
    ("retreat", "title"): "slug",
    ("retreat_registration_schedule", "kind"): _KIND,
}
"""What the rows that are there get in a column that is added, where that is not its default."""

FILLED: Final = {
    ("retreat_registration_schedule", "kind"): f"""
CREATE OR REPLACE FUNCTION lineup_schedule_kind() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.kind := (
        SELECT {_KIND}
        FROM (SELECT NEW.name, NEW.starts_at) AS schedule (name, starts_at)
    );
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER lineup_schedule_kind BEFORE INSERT ON retreat_registration_schedule
    FOR EACH ROW WHEN (NEW.kind IS NULL) EXECUTE FUNCTION lineup_schedule_kind()
"""  # noqa: S608  (constants)
}
"""What gives new rows a value in a column that is added, where no default can tell it."""

CONTENTS: Final = {"write_check": "INSERT INTO write_check DEFAULT VALUES"}
"""Tables that are not empty when they are new."""

_REASONS: Final = (
    (r"(^|_)revision$", "orders changes, so that conflicts are found and clients catch up"),
    (r"_origin$", "lets an undo bring a value back"),
    (r"_author_(id|name)$|_changed_at$", "keeps who changed the field last, and when"),
    (r"^epoch$", "tells clients that revisions have begun anew"),
    (r"^deleted$", "keeps a deleted group, so that an undo brings it back"),
    (r"^lineup_number$", "the line-up's number of a person"),
    (r"^kind$", "decides the column in sheets, or which memo it is"),
    (r"", "servers read it"),
)


def reason_of_column(name: str) -> str:
    """Return what a column is for."""
    return next(reason for pattern, reason in _REASONS if re.search(pattern, name))


def fits(table: str, column: str, wanted: str, actual: str) -> bool:
    """Return whether a column's type will do."""
    if wanted == actual:
        return True
    if wanted != "text" or not actual.startswith("character varying"):
        return False
    return actual == "character varying" or (table, column) not in WRITTEN_TEXTS
