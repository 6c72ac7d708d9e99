"""Draws the ratios to Node: a bar for each figure, on a logarithmic scale; SVG, and PNG of it.

A bar to the right: ours is so many times better. To the left: Node is. The thin line spans the
rounds. Only ratios, so that the picture does not depend on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import trio

from scripts.bench.installation import Installation, Say
from scripts.bench.report import Line, lines_of
from scripts.bench.results import Ratio, Results
from scripts.bench.rows import FIGURES

PEER: Final = "node"
STEPS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
TICKS: Final = (*(1 / step for step in reversed(STEPS[1:])), *map(float, STEPS))
WIDE: Final = 200.0
"""A scale whose ends are further apart than this many times has marks at powers of ten only."""
WIDTH: Final = 960
LABELS: Final = 390
"""Pixels to the left of the chart."""
RIGHT: Final = 64
TOP: Final = 92
BOTTOM: Final = 34
STEP: Final = 26
"""Pixels from one bar to the next."""
BAR: Final = 14
BETTER, WORSE, SPREAD = "#1a7f5a", "#c2571a", "#24292f"
FONT: Final = "'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif"
RASTERISE: Final = """
import sys, resvg_py
svg, png = sys.argv[1:]
open(png, "wb").write(bytes(resvg_py.svg_to_bytes(svg_path=svg, zoom=2)))
"""


class PlotFailed(Exception):
    """There is nothing to draw, or no PNG could be made of it; one sentence."""


@dataclass(frozen=True)
class Bar:
    """How many times better ours is: above 1 it is better, below 1 the peer is."""

    label: str
    times: float
    lowest: float
    highest: float


def bars_of(results: Results, peer: str = PEER) -> list[Bar]:
    """Return a bar for each figure of the table that both servers have."""
    return [
        _bar(line, line.ratios[peer])
        for line in lines_of(results)
        if peer in line.ratios and line.ratios[peer].lowest > 0
    ]


def _bar(line: Line, ratio: Ratio) -> Bar:
    figure = FIGURES[line.figure]
    label = f"{line.row.title}: {figure.title}"
    if figure.more_is_better:
        return Bar(label, ratio.median, ratio.lowest, ratio.highest)
    return Bar(label, 1 / ratio.median, 1 / ratio.highest, 1 / ratio.lowest)


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale from one tick to another one."""

    lowest: float
    highest: float

    @classmethod
    def around(cls, bars: Sequence[Bar]) -> Scale:
        """Return the smallest scale between ticks that holds all bars, and 1/2 to 2."""
        least = min(0.5, *(bar.lowest for bar in bars))
        most = max(2.0, *(bar.highest for bar in bars))
        lowest = max((tick for tick in TICKS if tick <= least), default=TICKS[0])
        highest = min((tick for tick in TICKS if tick >= most), default=TICKS[-1])
        return cls(lowest, highest)

    def ticks(self) -> list[float]:
        """Return the ticks that are marked on it."""
        wide = self.highest / self.lowest > WIDE
        return [
            tick
            for tick in TICKS
            if self.lowest <= tick <= self.highest and not (wide and math.log10(tick) % 1 > 1e-9)
        ]

    def x(self, times: float) -> float:
        """Return where a number stands, in pixels."""
        clipped = min(max(times, self.lowest), self.highest)
        share = math.log(clipped / self.lowest) / math.log(self.highest / self.lowest)
        return LABELS + share * (WIDTH - LABELS - RIGHT)


def times_text(times: float) -> str:
    """Return how many times better one of both is, whichever it is, such as ``2.5×``."""
    more = max(times, 1 / times)
    return f"{more:.0f}×" if more >= 9.95 else f"{more:.1f}×"


def svg_of(results: Results) -> str:
    """Return the picture.

    :raises PlotFailed: there is no ratio to Node.
    """
    bars = bars_of(results)
    if not bars:
        raise PlotFailed("There is no ratio to Node in the results, so there is nothing to draw.")
    scale = Scale.around(bars)
    height = TOP + STEP * len(bars) + BOTTOM
    rounds = {
        ratio.rounds for line in lines_of(results) if (ratio := line.ratios.get(PEER)) is not None
    }
    span = f"{min(rounds)}" if len(rounds) == 1 else f"{min(rounds)} to {max(rounds)}"
    span += " round" if rounds == {1} else " rounds"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="{FONT}" font-size="13" fill="#24292f">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="20" y="32" font-size="19" font-weight="bold">'
        "gbs-actor beside Socket.IO on Node</text>",
        '<text x="20" y="54" fill="#57606a">How many times better, on one machine and one '
        f"PostgreSQL; median of {span}, the line spans them all</text>",
        *_axis(scale, height),
    ]
    for index, bar in enumerate(bars):
        parts += _drawn(bar, TOP + STEP * index + STEP / 2, scale)
    return "\n".join([*parts, "</svg>", ""])


def _axis(scale: Scale, height: int) -> Iterator[str]:
    bottom, middle = height - BOTTOM, scale.x(1)
    for tick in scale.ticks():
        x = scale.x(tick)
        color = "#57606a" if tick == 1 else "#d8dee4"
        yield f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom}" stroke="{color}"/>'
        yield (
            f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle" fill="#57606a">'
            f"{'equal' if tick == 1 else f'{max(tick, 1 / tick):.0f}×'}</text>"
        )
    yield (
        f'<text x="{middle + 10:.1f}" y="{TOP - 12}" fill="{BETTER}" font-weight="bold">'
        "gbs-actor is better →</text>"
    )
    yield (
        f'<text x="{middle - 10:.1f}" y="{TOP - 12}" fill="{WORSE}" font-weight="bold" '
        'text-anchor="end">← Node is better</text>'
    )


def _drawn(bar: Bar, y: float, scale: Scale) -> Iterator[str]:
    middle, end = scale.x(1), scale.x(bar.times)
    low, high = scale.x(bar.lowest), scale.x(bar.highest)
    better = bar.times >= 1
    yield f'<text x="{LABELS - 14}" y="{y + 4.5:.1f}" text-anchor="end">{escape(bar.label)}</text>'
    yield (
        f'<rect x="{min(middle, end):.1f}" y="{y - BAR / 2:.1f}" width="{abs(end - middle):.1f}" '
        f'height="{BAR}" rx="2" fill="{BETTER if better else WORSE}"/>'
    )
    yield (
        f'<line x1="{low:.1f}" y1="{y:.1f}" x2="{high:.1f}" y2="{y:.1f}" stroke="{SPREAD}" '
        'stroke-width="1.5"/>'
    )
    # Beside the bar, past the line; on the other side of the middle where that is too near to
    # the labels.
    left_of = not better and min(low, end) - LABELS > 48
    x = (min(low, end) - 7) if left_of else max(high, end, middle) + 7
    anchor = "end" if left_of else "start"
    yield (
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="{anchor}" font-weight="bold" '
        'stroke="#ffffff" stroke-width="4" paint-order="stroke">'
        f"{times_text(bar.times)}</text>"
    )


async def draw(results: Results, path: Path, installation: Installation, say: Say) -> list[Path]:
    """Write the picture as SVG, and as PNG beside it; return both paths.

    :raises PlotFailed: there is nothing to draw.
    :raises SetUpFailed: what makes the PNG could not be installed.
    """
    svg, png = path.with_suffix(".svg"), path.with_suffix(".png")
    svg.write_text(svg_of(results))
    await installation.install_python_packages(say)
    result = await trio.run_process(
        [str(installation.python), "-c", RASTERISE, str(svg), str(png)],
        check=False,
        capture_stderr=True,
    )
    if result.returncode != 0:
        raise PlotFailed(f"The PNG could not be made: {result.stderr.decode(errors='replace')}")
    return [svg, png]
