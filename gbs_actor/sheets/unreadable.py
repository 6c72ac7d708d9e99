"""Why a file cannot be read, in one sentence for the person who has sent it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class UnreadableCode(StrEnum):
    """What is wrong with a file."""

    EMPTY = "EMPTY"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY_ROWS = "TOO_MANY_ROWS"
    ENCRYPTED = "ENCRYPTED"
    XLSB = "XLSB"
    OTHER_ARCHIVE = "OTHER_ARCHIVE"
    UNKNOWN_FORMAT = "UNKNOWN_FORMAT"
    DAMAGED = "DAMAGED"
    EXPANDS = "EXPANDS"
    SLOW = "SLOW"


_MESSAGES: Final = {
    UnreadableCode.EMPTY: "파일이 비어 있습니다.",
    UnreadableCode.TOO_LARGE: "파일이 너무 큽니다. {limit}MB까지 올릴 수 있습니다.",
    UnreadableCode.TOO_MANY_ROWS: "{sheet}행이 너무 많습니다. {limit}행까지 읽을 수 있습니다.",
    UnreadableCode.ENCRYPTED: "암호가 걸린 파일입니다. 암호를 풀고 저장한 뒤 다시 올려 주세요.",
    UnreadableCode.XLSB: (
        "엑셀 바이너리 파일(.xlsb)은 읽을 수 없습니다. 엑셀에서 .xlsx로 저장한 뒤 다시 올려 주세요."
    ),
    UnreadableCode.OTHER_ARCHIVE: (
        "엑셀 파일이 아닙니다. 압축 파일(ZIP)이라면 안에 있는 명단 파일을 올려 주세요."
    ),
    UnreadableCode.UNKNOWN_FORMAT: (
        "읽을 수 없는 형식입니다. 엑셀에서 .xlsx로 저장한 뒤 다시 올려 주세요."
    ),
    UnreadableCode.DAMAGED: (
        "파일이 손상되어 읽을 수 없습니다. 엑셀에서 .xlsx로 다시 저장한 뒤 올려 주세요."
    ),
    UnreadableCode.EXPANDS: (
        "시트의 범위가 너무 넓어 읽을 수 없습니다. 표에서 멀리 떨어진 셀을 지우고 다시 올려 주세요."
    ),
    UnreadableCode.SLOW: (
        "파일을 읽는 데 너무 오래 걸려 중단했습니다. 명단 시트만 남기고 다시 올려 주세요."
    ),
}


class Unreadable(Exception):
    """A file cannot be read.

    :ivar code: for programs.
    :ivar message: one sentence for the person, in Korean.
    """

    def __init__(self, code: UnreadableCode, limit: int = 0, *, sheet: str = "") -> None:
        self.code = code
        about = f"'{sheet}' 시트의 " if sheet else ""
        self.message = _MESSAGES[code].format(limit=f"{limit:,}", sheet=about)
        super().__init__(self.message)
