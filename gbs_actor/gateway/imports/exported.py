"""The fields of people as an export had them, from the log."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from gbs_actor.environment import Environment
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.fields import ATTRIBUTES, FieldKey, FieldValue, Value
from gbs_actor.lineup.fields import Field as LoggedField
from gbs_actor.lineup.records import Registration, Retreat, Stamp
from gbs_actor.sheets import Field, Fields, Origin

_TAG: Final = 6
"""Bytes at the beginning of an import's id that stand for the user and the export."""

ReadLog = Callable[[int, int], Sequence[LogEntry] | None]
"""Returns the log's entries after one revision and before another, the newest first; ``None``:
they are pruned, or too many, or one of them does not say what it has changed."""


def new_export_id(epoch: str, environment: Environment) -> str:
    """Return the id of an export: what the hidden revisions of a sheet mean, depends on it.

    :param epoch: the retreat's.
    """
    return f"{epoch}/{environment.entropy(8).hex()}"


def new_import_id(user_id: int, export_id: str, environment: Environment) -> UUID:
    """Return the id of an import, which is that of its command, too.

    The log tells by it what a user has imported from one export, without a record of imports.

    :param export_id: of the export that most of its rows come from; "": of none.
    """
    return UUID(bytes=_tag(user_id, export_id) + environment.entropy(16 - _TAG))


def _tag(user_id: int, export_id: str) -> bytes:
    return hashlib.sha256(f"{user_id} {export_id}".encode()).digest()[:_TAG]


class _Unknown(Exception):
    """The log does not say what a field was like."""


class ExportedFields:
    """What the rows of a sheet were exported from.

    Reads the log only as far back as a row needs it: for fields that were changed since.

    :param retreat: as it is now.
    :param user_id: who imports the sheet.
    :param read_log: of the retreat.

    Attributes:
        seen: revisions after the exports whose changes are no conflict: they are what the user
            has imported from the same export before, or have brought the exported value back.
    """

    def __init__(self, retreat: Retreat, user_id: int, read_log: ReadLog) -> None:
        self._epoch = retreat.epoch
        self._registrations = {each.id: each for each in retreat.registrations}
        self._user_id = user_id
        self._read_log = read_log
        self._read_after = retreat.revision
        """The log was read from here on."""
        self._not_before = 0
        """The log does not reach back so far, or too far."""
        self._imports: dict[int, UUID] = {}
        """The user's, by revision."""
        self._replaced: defaultdict[FieldKey, list[tuple[int, FieldValue]]] = defaultdict(list)
        """Revision and former value of each change of a field, the newest first."""
        self.seen: set[int] = set()

    def at(self, origin: Origin) -> Fields | None:
        """Return what the cells of a row are if nobody has edited them.

        That is what the fields were when it was exported, or what the user has imported of that
        export since.

        :returns: ``None`` if that is not known, see :data:`~gbs_actor.sheets.FieldsAt`.
        """
        registration = self._registrations.get(origin.registration_id)
        if registration is None or not origin.export_id.startswith(f"{self._epoch}/"):
            return None
        try:
            values: dict[str, Any] = {
                ATTRIBUTES[LoggedField(field)][0]: self._value(registration, field, origin)
                for field in Field
            }
        except _Unknown:
            return None
        return Fields(**values)

    def _value(self, registration: Registration, field: Field, origin: Origin) -> Value:
        attribute, of_stamp = ATTRIBUTES[LoggedField(field)]
        value: Value = getattr(registration, attribute)
        stamp: Stamp = getattr(registration, of_stamp)
        if stamp.revision <= origin.revision:
            return value
        self._read_back_to(origin.revision)
        if self._has_imported(stamp, origin.export_id):
            self.seen.add(stamp.revision)
            return value
        changes = self._replaced[registration.id, None, LoggedField(field)]
        exported = next(
            former for revision, former in reversed(changes) if revision > origin.revision
        )
        if (exported.value, exported.origin) == (value, stamp.origin):
            self.seen.add(stamp.revision)  # an undo has brought it back
        return exported.value

    def _has_imported(self, stamp: Stamp, export_id: str) -> bool:
        """Return whether a value is the one that an earlier import has given it."""
        tag = _tag(self._user_id, export_id)
        imports = (self._imports.get(revision) for revision in (stamp.revision, stamp.origin))
        return any(each is not None and each.bytes.startswith(tag) for each in imports)

    def _read_back_to(self, revision: int) -> None:
        if revision >= self._read_after:
            return
        if revision < self._not_before:
            raise _Unknown
        entries = self._read_log(revision, self._read_after + 1)
        if entries is None:
            self._not_before = revision + 1
            raise _Unknown
        self._read_after = revision
        for entry in entries:
            if entry.kind is Kind.BULK_ASSIGN and entry.author_id == self._user_id:
                self._imports[entry.revision] = entry.command_id
            for former in entry.before:
                self._replaced[former.key].append((entry.revision, former))
