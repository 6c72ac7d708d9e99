"""Medians and ratios, the tables and the picture of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.bench.plot import Bar, PlotFailed, Scale, bars_of, svg_of, times_text
from scripts.bench.report import lines_of, markdown_table, warnings_of
from scripts.bench.results import Results, Sample, UnreadableResults
from scripts.bench.rows import FIGURES, ROWS


def sample(row: str, server: str, number: int, **figures: float) -> Sample:
    return Sample(row, server, number, 0.0, figures)


def rounds(row: str, figure: str, **servers: list[float]) -> Results:
    """Results with a figure of each server, a value for each round."""
    return Results(
        samples=[
            sample(row, server, number, **{figure: value})
            for server, values in servers.items()
            for number, value in enumerate(values, start=1)
        ]
    )


def test_a_ratio_is_the_median_of_those_of_the_rounds() -> None:
    results = rounds("joins", "joins_per_s", ours=[10, 100, 30], node=[5, 10, 30])
    ratio = results.ratio("joins", "joins_per_s", "ours", "node")
    assert ratio is not None
    assert (ratio.median, ratio.lowest, ratio.highest, ratio.rounds) == (2, 1, 10, 3)
    assert results.median("joins", "ours", "joins_per_s") == 30


def test_rounds_that_only_one_server_was_in_have_no_ratio() -> None:
    results = rounds("joins", "joins_per_s", ours=[10, 40, 90], node=[10])
    ratio = results.ratio("joins", "joins_per_s", "ours", "node")
    assert ratio is not None
    assert (ratio.median, ratio.rounds) == (1, 1)
    assert results.ratio("joins", "joins_per_s", "ours", "python") is None


def test_results_are_the_same_after_they_were_saved(tmp_path: Path) -> None:
    results = rounds("joins", "joins_per_s", ours=[1.5, 2])
    results.machine = {"cpu": "one"}
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results
    assert results.next_round() == 3


@pytest.mark.parametrize("content", [None, "", "[]", '{"machine": {}}', '{"samples": [1]}'])
def test_a_file_that_holds_no_results_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UnreadableResults, match=r"results\.json (cannot be read|holds no results)"):
        Results.load(path)


def test_the_markdown_table_has_medians_and_ratios() -> None:
    results = rounds("joins", "joins_per_s", ours=[900, 1_800], node=[600, 600], bare=[])
    assert markdown_table(results).splitlines() == [
        "| | gbs-actor | Node | ÷ Node |",
        "|---|---:|---:|---:|",
        "| connect and join, 200 at a time: joins, /s | 1,350 | 600 | 2.25 |",
    ]


def test_details_show_every_figure() -> None:
    results = Results(samples=[sample("joins", "ours", 1, joins_per_s=1, join_us=2, errors=0)])
    assert [line.figure for line in lines_of(results)] == ["joins_per_s"]
    details = [line.figure for line in lines_of(results, details=True)]
    assert details == ["joins_per_s", "join_us", "errors"]


def test_errors_and_a_busy_load_generator_are_named() -> None:
    figures: Mapping[str, float] = {"errors": 3, "load_share": 0.97}
    results = Results(samples=[sample("joins", "node", 1, **figures)], quick=True)
    quick, errors, busy = warnings_of(results)
    assert "only that everything runs" in quick
    assert errors == "joins, Node: 3 errors."
    assert busy == "joins, Node: the load generator was the limit (97%)."


def test_every_row_puts_known_figures_in_front() -> None:
    for row in ROWS.values():
        assert row.headlines
        assert set(row.headlines) <= set(FIGURES)


def test_a_bar_to_the_right_means_that_ours_is_better() -> None:
    more_edits = rounds("editors-10", "edits_per_s", ours=[200, 400], node=[100, 100])
    assert bars_of(more_edits) == [Bar("10 people edit at full speed: edits", 3, 2, 4)]
    longer_acks = rounds("ack-50", "ack_p50_ms", ours=[2, 4], node=[1, 1])
    assert bars_of(longer_acks) == [
        Bar("100 edits/s, 50 subscribers: ack p50", 1 / 3, 1 / 4, 1 / 2)
    ]


def test_the_scale_is_logarithmic_and_holds_all_bars() -> None:
    scale = Scale.around([Bar("a", 3, 2, 4), Bar("b", 0.3, 0.15, 0.4)])
    assert (scale.lowest, scale.highest) == (1 / 10, 5)
    assert scale.x(1) - scale.x(1 / 2) == pytest.approx(scale.x(2) - scale.x(1))
    assert scale.x(1 / 10) < scale.x(0.15) < scale.x(4) < scale.x(5)


@pytest.mark.parametrize(
    ("times", "text"), [(2.46, "2.5×"), (0.5, "2.0×"), (1, "1.0×"), (30.4, "30×")]
)
def test_how_many_times_is_written_with_two_digits(times: float, text: str) -> None:
    assert times_text(times) == text


def test_the_picture_is_well_formed_and_says_which_side_is_whose() -> None:
    picture = svg_of(rounds("editors-10", "edits_per_s", ours=[200, 400], node=[100, 100]))
    texts = [element.text for element in ElementTree.fromstring(picture).iter() if element.text]
    assert "gbs-actor is better →" in texts
    assert "10 people edit at full speed: edits" in texts
    assert any("median of 2 rounds" in text for text in texts)


def test_without_a_ratio_there_is_nothing_to_draw() -> None:
    with pytest.raises(PlotFailed, match="nothing to draw"):
        svg_of(rounds("joins", "joins_per_s", ours=[1]))
