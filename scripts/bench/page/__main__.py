"""``python -m scripts.bench.page``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import trio
from rich.console import Console

from scripts.bench.page import grid, lineup, traffic
from scripts.bench.page.figures import Figures
from scripts.bench.page.window import EDITED, LARGE, PEOPLE
from scripts.browser import a_browser
from tests.e2e.server_process import running_server

PARTS: Final = {
    "loads": lineup.measure_loads,
    "edits": lineup.measure_edits,
    "frames": lineup.measure_frames,
    "traffic": traffic.measure,
    "grid": grid.measure,
}
WIDTH: Final = 120


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench.page", description="Measure the line-up page in Chromium."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all samples go")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: not among {', '.join(PARTS)}")
    figures = Figures()
    with (
        a_browser() as pages,
        running_server(retreats=[LARGE, EDITED], people=PEOPLE, on_disk=True) as server,
    ):
        for name in options.parts or PARTS:
            trio.run(PARTS[name], pages, server, figures)
    Console(width=WIDTH).print(figures.table())
    if options.json is not None:
        options.json.write_text(figures.json())


if __name__ == "__main__":
    main()
