"""The line-up as a sheet over HTTP: exports, and imports in two steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote
from uuid import UUID

import msgspec
import trio
from quart import Blueprint, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from gbs_actor.auth import TokenSource, User
from gbs_actor.contract.command_spec import LINE_UP_PATH
from gbs_actor.contract.decoding import InvalidPayload, decode
from gbs_actor.gateway import replies
from gbs_actor.gateway.http.identity import Identity, RateLimited
from gbs_actor.gateway.http.preconditions import single
from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.imports import Importer, PendingImport, Refused
from gbs_actor.gateway.imports.importer import EXPIRED
from gbs_actor.gateway.limits import UserConnectionLimit
from gbs_actor.gateway.replies import Failure, ProblemBody, problem_bodies
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import OnConflict
from gbs_actor.lineup.fields import Field as LoggedField
from gbs_actor.sheets import CellEdit, Problem, Unreadable
from gbs_actor.sheets.layout import Layout

IMPORTS: Final = "/imports"
"""The path of uploads below the line-up."""
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SHEET_COST: Final = 100
"""How many requests a sheet counts as that is read or written, which takes some 200 ms of CPU."""
PASTED: Final = "text"
"""The name of the form field that may have pasted text in place of a file."""


class PreviewedEdit(CellEdit, frozen=True, rename="camel"):
    """A cell that would be changed, and what somebody else has changed there since."""

    conflict: ProblemBody | None
    """Known so far; where it is still there when the import is applied, nothing of this person is
    changed. It may be about another field of theirs."""


class ImportPreview(msgspec.Struct, frozen=True, rename="camel"):
    """An import that waits to be applied."""

    import_id: UUID
    revision: int
    """The room's, that the sheet was compared with."""
    sheets: tuple[str, ...]
    """The names of all sheets of the file."""
    layout: Layout | None
    """How the sheet was understood; ``null``: none has the header."""
    changes: tuple[PreviewedEdit, ...]
    """The cells that differ from what was exported, in the order of the sheet."""
    blocks: tuple[Problem, ...]
    """As long as there is one, the import cannot be applied."""
    warnings: tuple[Problem, ...]
    """Have to be acknowledged."""
    notices: tuple[Problem, ...]
    """Need not be: what the sheet has and no import changes."""


class ApplyBody(msgspec.Struct, frozen=True, rename="camel"):
    """How an import is to be applied."""

    acknowledge: bool = False
    """The user accepts the warnings that they were shown."""
    on_conflict: OnConflict = "refuse"
    """Where somebody else has changed a cell since the export: apply nothing, or the rest."""


_apply_decoder: Final = msgspec.json.Decoder(ApplyBody)
_encoder: Final = msgspec.json.Encoder()


def sheets(importer: Importer, identity: Identity, at_once_per_user: int) -> Blueprint:
    """Return the routes of exports and imports below ``/api/v1/retreat/{slug}/line-up``.

    :param at_once_per_user: sheets of one user that are worked on at the same time, at most.
    """
    in_progress = UserConnectionLimit(at_once_per_user)
    blueprint = Blueprint("sheets", __name__, url_prefix=LINE_UP_PATH.replace("{slug}", "<slug>"))

    @blueprint.get("/registration-roster-excel")
    @blueprint.get("/export.xlsx", endpoint="export")
    async def roster(slug: str) -> Response:
        user = await identity.require(request, identity.policy.may_read, slug)
        with limited(user):
            export = await importer.export(slug)
        if isinstance(export, Rejection):
            return failure_response(Failure.of(export))
        return _workbook(export.data, f"{slug}-r{export.revision}")

    @blueprint.get("/template.xlsx")
    async def template(slug: str) -> Response:
        user = await identity.require(request, identity.policy.may_read, slug)
        with limited(user):
            data = await importer.template(slug)
        if isinstance(data, Rejection):
            return failure_response(Failure.of(data))
        return _workbook(data, f"{slug}-template")

    @blueprint.post(IMPORTS)
    async def upload(slug: str) -> Response:
        user = await _editor(slug)
        applies_number = _flag("applyLineupNumber", single("applyLineupNumber", request.args))
        try:
            with limited(user):
                pending = await importer.upload(
                    slug, user, await _uploaded(), apply_lineup_number=applies_number
                )
        except Unreadable as error:
            return failure_response(Failure.because(Code.VALIDATION_FAILED, error.message))
        if isinstance(pending, Rejection):
            return failure_response(Failure.of(pending))
        # Thousands of changes would hold the event loop for 40 ms.
        return _uncached(await trio.to_thread.run_sync(_encoded_preview, pending))

    @blueprint.get("/imports/<uuid:import_id>/blocks.xlsx")
    async def blocks(slug: str, import_id: UUID) -> Response:
        return await problem_list(slug, import_id, "blocks")

    @blueprint.get("/imports/<uuid:import_id>/warnings.xlsx")
    async def warnings(slug: str, import_id: UUID) -> Response:
        return await problem_list(slug, import_id, "warnings")

    async def problem_list(slug: str, import_id: UUID, name: str) -> Response:
        user = await _editor(slug)
        pending = importer.pending.find(import_id, slug, user.user_id)
        if pending is None:
            return failure_response(Failure.of(EXPIRED))
        problems: tuple[Problem, ...] = getattr(pending.preview, name)
        with limited(user):
            data = await importer.problem_list(problems)
        return _workbook(data, f"{slug}-{name}")

    @blueprint.post("/imports/<uuid:import_id>/apply")
    async def apply(slug: str, import_id: UUID) -> Response:
        user = await _editor(slug)
        raw = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        if raw and user.source is TokenSource.COOKIE and not request.is_json:
            raise UnsupportedMediaType
        body = decode(raw or b"{}", _apply_decoder)
        with limited(user):
            outcome = await importer.apply(
                import_id, slug, user, acknowledge=body.acknowledge, on_conflict=body.on_conflict
            )
        if isinstance(outcome, Refused):
            return failure_response(_refusal(outcome))
        if isinstance(outcome, Rejection):
            return failure_response(Failure.of(outcome))
        return _uncached(replies.change_result(outcome, outcome.revision))

    @contextmanager
    def limited(user: User) -> Iterator[None]:
        """Work on a sheet for a user in a block, unless too many of theirs are in progress.

        :raises RateLimited: there are.
        """
        if not in_progress.take(user.user_id):
            raise RateLimited(1.0, user.user_id, "imports_at_once_per_user")
        try:
            identity.charge(user, SHEET_COST - 1)
            yield
        finally:
            in_progress.leave(user.user_id)

    async def _editor(slug: str) -> User:
        user = await identity.require(request, identity.policy.may_edit, slug)
        identity.check_origin(request, user)
        return user

    return blueprint


def _encoded_preview(pending: PendingImport) -> bytes:
    preview, conflicts = pending.preview, problem_bodies(pending.conflicts)
    of_person = {each.registration_id: each for each in reversed(conflicts)}
    of_field = {(each.registration_id, each.field): each for each in conflicts}

    def conflict_of(edit: CellEdit) -> ProblemBody | None:
        id_ = edit.registration_id
        return of_field.get((id_, LoggedField(edit.field))) or of_person.get(id_)

    body = ImportPreview(
        import_id=pending.id,
        revision=pending.revision,
        sheets=preview.sheets,
        layout=preview.layout,
        changes=tuple(
            PreviewedEdit(**msgspec.structs.asdict(edit), conflict=conflict_of(edit))
            for edit in preview.changes
        ),
        blocks=preview.blocks,
        warnings=preview.warnings,
        notices=preview.notices,
    )
    return _encoder.encode(body)


async def _uploaded() -> bytes:
    """Return the file or text of the request: its body, or the first of a form's."""
    if request.mimetype != "multipart/form-data":
        body: bytes = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        return body
    for file in (await request.files).values():
        data: bytes = file.read()
        return data
    text: str | None = (await request.form).get(PASTED)
    if text is None:
        raise InvalidPayload("", f"The form has neither a file nor the field {PASTED}.")
    return str(text).encode()


def _flag(name: str, value: str | None) -> bool:
    if value not in {None, "true", "false"}:
        raise InvalidPayload(name, f"{name} must be true or false.")
    return value == "true"


def _workbook(data: bytes, name: str) -> Response:
    response = Response(data, content_type=XLSX)
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"line-up.xlsx\"; filename*=UTF-8''{quote(name, safe='')}.xlsx"
    )
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _uncached(body: bytes) -> Response:
    response = json_response(body)
    response.headers["Cache-Control"] = "no-store"
    return response


def _refusal(refused: Refused) -> Failure:
    if refused.blocks:
        code, message = Code.IMPORT_BLOCKED, "The sheet has to be mended before it can be applied."
    else:
        code, message = Code.NOT_ACKNOWLEDGED, "There are warnings to be acknowledged."
    return Failure(code, message, blocks=refused.blocks, warnings=refused.warnings)
