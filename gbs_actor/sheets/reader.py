"""Reads what people upload or paste, in a child process: the only part here that knows Trio."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import trio

from gbs_actor.sheets.cell import Line, Sheet
from gbs_actor.sheets.unreadable import Unreadable, UnreadableCode

_CHILD: Final = Path(__file__).with_name("child.py")
_DEATHS: Final = {
    -signal.SIGABRT: UnreadableCode.EXPANDS,  # Rust, when there is no memory
    -signal.SIGKILL: UnreadableCode.SLOW,  # the kernel, at the end of the CPU time
}


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What reading one file may cost."""

    input_size: int = 5 * 2**20
    """Bytes of the file."""
    memory: int = 512 * 2**20
    """Bytes of address space of the child."""
    cpu_time: int = 10
    """Seconds of the child."""
    timeout: float = 30
    """Seconds until the child is killed, whatever it waits for."""
    rows: int = 5_000
    """Rows of a sheet that are not empty."""
    columns: int = 256
    """Columns of a sheet; what is to the right of them is not read."""
    characters: int = 4 * 2**20
    """The size of all cells as JSON, about."""

    @property
    def output_size(self) -> int:
        """The most bytes that the child may answer: UTF-8, and line breaks and quotes escaped."""
        return 4 * self.characters


class _Part(msgspec.Struct):
    """A line of what the child writes."""

    name: str = ""
    visible: bool = True
    lines: tuple[Line, ...] = ()
    continued: bool = False
    """Whether the lines are of the same sheet as those of the part before."""
    unreadable: UnreadableCode | None = None
    sheet: str = ""


_decoder: Final = msgspec.json.Decoder(_Part)


class SheetReader:
    """Reads files, a few at a time, each in a child process of its own.

    :param limits: of each file.
    :param at_once: how many children run at the same time; the next file waits.
    """

    def __init__(self, limits: ReadLimits | None = None, *, at_once: int = 2) -> None:
        self._limits = limits or ReadLimits()
        self._slots = trio.CapacityLimiter(at_once)

    async def read(self, data: bytes) -> tuple[Sheet, ...]:
        """Return the sheets of an .xlsx, .xls, .ods, CSV or pasted text.

        A text is UTF-8 (with or without BOM), UTF-16 with BOM or CP949, its columns separated
        by tabs, commas or semicolons. Only what is in the file decides, not a name of it.

        Cancellation kills the child and waits for its end.

        :raises Unreadable: it cannot be read; says why.
        :raises ExceptionGroup: of an :exc:`OSError`: no process can be started.
        """
        limits = self._limits
        if len(data) > limits.input_size:
            raise Unreadable(UnreadableCode.TOO_LARGE, limits.input_size // 2**20)
        if not data:
            raise Unreadable(UnreadableCode.EMPTY)
        async with self._slots:
            output = await _output_of_child(data, limits)
        if isinstance(output, UnreadableCode):
            raise Unreadable(output)
        sheets: list[tuple[str, bool, list[Line]]] = []
        for written in output.split(b"\n"):
            try:
                part = _decoder.decode(written)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise Unreadable(UnreadableCode.DAMAGED) from None
            if part.unreadable is not None:
                raise Unreadable(part.unreadable, limits.rows, sheet=part.sheet)
            if not (part.continued and sheets):
                sheets.append((part.name, part.visible, []))
            sheets[-1][2].extend(part.lines)
            await trio.lowlevel.checkpoint()  # 5,000 lines at once would hold the loop for 50 ms
        return tuple(Sheet(name, visible, tuple(lines)) for name, visible, lines in sheets)


async def _output_of_child(data: bytes, limits: ReadLimits) -> bytes | UnreadableCode:
    """Return what the child wrote, or what its death means."""
    arguments = (limits.memory, limits.cpu_time, limits.rows, limits.columns, limits.characters)
    output = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.relative_deadline = limits.timeout
        process = await nursery.start(
            partial(
                trio.run_process,
                # Isolated, and with no environment: nothing of ours reaches the child.
                [sys.executable, "-I", str(_CHILD), *map(str, arguments)],
                env={},
                stdin=data,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
                deliver_cancel=_kill,
            )
        )
        async with process.stdout:
            async for chunk in process.stdout:
                output += chunk
                if len(output) > limits.output_size:
                    return UnreadableCode.EXPANDS
    if nursery.cancel_scope.cancelled_caught:
        return UnreadableCode.SLOW
    return (
        _DEATHS.get(process.returncode, UnreadableCode.DAMAGED)
        if process.returncode
        else bytes(output)
    )


async def _kill(process: trio.Process) -> None:
    process.kill()
