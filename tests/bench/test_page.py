"""The figures of the line-up page."""

from __future__ import annotations

import json

from scripts.bench.page.figures import Figure, Figures


def test_a_share_of_the_samples_is_found_by_the_nearest_rank() -> None:
    figure = Figure("edit", "ms", [float(number) for number in range(100, 0, -1)])
    assert [figure.at(share) for share in (0, 0.5, 0.95, 0.99, 1)] == [1, 50, 95, 99, 100]


def test_the_json_has_all_samples_in_the_order_in_which_they_were_measured() -> None:
    figures = Figures()
    figures.add("list shown", "ms", [3.0, 1.0])
    figures.add("files", "", [92])
    assert json.loads(figures.json()) == [
        {"title": "list shown", "unit": "ms", "samples": [3.0, 1.0]},
        {"title": "files", "unit": "", "samples": [92]},
    ]
