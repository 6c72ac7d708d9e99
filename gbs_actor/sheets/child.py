"""Reads a spreadsheet or a text in a process of its own, within limits of the kernel.

A script: standard input is the file, standard output one JSON object a line: parts of the sheets,
``{"name": …, "visible": …, "lines": …, "continued": …}`` as in ``cell``, or a single
``{"unreadable": code, "sheet": name}`` as in ``unreadable``. A file of 4.8 KB can ask for 512 GiB,
at which the library below aborts its process; so this one is there to die. It imports nothing of
this package: that takes 130 ms, its own start 25.

Arguments: address space in bytes, CPU time in seconds, rows, columns, characters of the answer.
"""

from __future__ import annotations

import csv
import io
import json
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from datetime import date, time, timedelta
from math import isfinite
from typing import Any, Final

from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    SheetTypeEnum,
    SheetVisibleEnum,
)

_WORKBOOKS: Final = (b"PK\x03\x04", b"PK\x05\x06", bytes.fromhex("D0CF11E0A1B11AE1"))
"""How ZIP archives begin, empty ones too, and compound files: .xls and what Office encrypts."""
_ENCRYPTED_COMPOUND_FILE: Final = re.compile(
    re.escape("EncryptedPackage".encode("utf-16-le"))  # a stream, MS-OFFCRYPTO section 1.3.2
    + rb"|\x09\x08\x10\x00\x00\x06\x05\x00.{12}\x2F\x00",  # BOF, FilePass: MS-XLS section 2.4
    re.DOTALL,
)
_XLSB_PART: Final = b"xl/workbook.bin"
"""Of an Excel binary workbook, which could be read, but nothing here can make one to try it."""
_MANIFEST: Final = "META-INF/manifest.xml"
"""Of an OpenDocument file; says which of its parts are encrypted."""
_HEAD_LINES: Final = 8
_PART: Final = 250
"""Rows of a part: with 25 columns the server decodes it in 2 ms."""
_CELL_COST: Final = 6
"""Characters of an answer that a cell costs besides its text."""
LONGEST_CELL: Final = 256
"""Characters of a cell that are read: nothing that an import reads is as long, and to normalize
32,000 combining characters takes 0.7 s, of twice as many four times that."""


class _Unreadable(Exception):
    """A code of ``unreadable``, and the name of the sheet that it is about."""

    def __init__(self, code: str, sheet: str = "") -> None:
        self.answer = {"unreadable": code, "sheet": sheet}


class _Answer:
    """The lines of the sheets, as long as they stay within limits."""

    def __init__(self, rows: int, columns: int, characters: int) -> None:
        self._rows = rows
        self._columns = columns
        self._characters = characters
        self.sheets: list[dict[str, Any]] = []

    def add(self, name: str, visible: bool, rows: Iterable[list[Any]]) -> None:
        """Add a sheet, its rows from the first one on."""
        lines: list[tuple[int, list[Any]]] = []
        for number, row in enumerate(rows, 1):
            cells = [_value(cell) for cell in row[: self._columns]]
            while cells and cells[-1] is None:
                cells.pop()
            if not cells:
                continue
            if len(lines) == self._rows:
                raise _Unreadable("TOO_MANY_ROWS", name)
            self._characters -= sum(
                _CELL_COST + len(c) if isinstance(c, str) else 24 for c in cells
            )
            if self._characters < 0:
                raise _Unreadable("EXPANDS")
            cells = [c[:LONGEST_CELL] if isinstance(c, str) else c for c in cells]
            lines.append((number, cells))
        self.sheets.append({"name": name, "visible": visible, "lines": lines})


def _value(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell if cell and not cell.isspace() else None
    if isinstance(cell, date | time):
        return {"date": cell.isoformat()}
    if isinstance(cell, timedelta):
        return {"date": str(cell)}
    if isinstance(cell, float) and not isfinite(cell):
        return str(cell)
    return cell


def _read_workbook(data: bytes, answer: _Answer) -> None:
    if _XLSB_PART in data:  # names in a ZIP archive are not compressed
        raise _Unreadable("XLSB")
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for index, sheet in enumerate(workbook.sheets_metadata):
            if sheet.typ is SheetTypeEnum.WorkSheet:
                cells = workbook.get_sheet_by_index(index)
                _, left = cells.start or (0, 0)  # rows are from the first one on, columns not
                rows = ([None] * left + row for row in cells.iter_rows())
                answer.add(sheet.name, sheet.visible is SheetVisibleEnum.Visible, rows)
    except CalamineError:  # it says only "Cannot detect file format"
        raise _Unreadable(_fault_of(data)) from None


def _fault_of(data: bytes) -> str:
    """Return why a ZIP archive or a compound file is no workbook."""
    if _ENCRYPTED_COMPOUND_FILE.search(data):
        return "ENCRYPTED"
    from zipfile import BadZipFile, ZipFile  # noqa: PLC0415  (as slow as all other imports)

    try:
        with ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            manifest = archive.read(_MANIFEST) if _MANIFEST in names else b""
    except BadZipFile:
        return "DAMAGED"
    if b"encryption-data" in manifest:
        return "ENCRYPTED"
    is_workbook = any(name.startswith("xl/workbook.") or name == "content.xml" for name in names)
    return "DAMAGED" if is_workbook else "OTHER_ARCHIVE"


def _read_text(data: bytes, answer: _Answer) -> None:
    text = _decoded(data)
    if re.search(r"[\x00-\x08\x0e-\x1f]", text) or text.lstrip().startswith(("<", "%PDF")):
        raise _Unreadable("UNKNOWN_FORMAT")
    head = "\n".join(text.split("\n", _HEAD_LINES)[:_HEAD_LINES])
    delimiter = max("\t,;", key=head.count)
    try:
        answer.add("", True, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        raise _Unreadable("DAMAGED") from None


def _decoded(data: bytes) -> str:
    encodings = (
        ["utf-16"] if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ["utf-8-sig", "cp949"]
    )
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            pass
    raise _Unreadable("UNKNOWN_FORMAT")


def read(data: bytes, rows: int, columns: int, characters: int) -> dict[str, Any]:
    """Return ``{"sheets": …}`` with whole sheets, or why a file cannot be read, see the module."""
    answer = _Answer(rows, columns, characters)
    read_ = _read_workbook if data.startswith(_WORKBOOKS) else _read_text
    try:
        read_(data, answer)
    except _Unreadable as reason:
        return reason.answer
    if not any(sheet["lines"] for sheet in answer.sheets):
        return {"unreadable": "EMPTY"}
    return {"sheets": answer.sheets}


def _parts(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "sheets" not in answer:
        yield answer
        return
    for sheet in answer["sheets"]:
        lines = sheet["lines"]
        for start in range(0, len(lines) or 1, _PART):
            yield {**sheet, "lines": lines[start : start + _PART], "continued": start > 0}


def main() -> None:
    """Read standard input, write standard output."""
    memory, seconds, *limits = map(int, sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = read(sys.stdin.buffer.read(), *limits)
        encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        output = "\n".join(map(encode, _parts(answer))).encode()
    except MemoryError:
        output = b'{"unreadable":"EXPANDS"}'
    sys.stdout.buffer.write(output)


if __name__ == "__main__":
    main()
