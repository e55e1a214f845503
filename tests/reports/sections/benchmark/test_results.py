"""Sections of a benchmark: what is claimed, shown and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.compute.intervals.test_benchmark import make_doc, make_frames
from tests.reports.browser import figures_of, html_of

from nextrung.compute.intervals import compare_benchmarks
from nextrung.reports.pages.benchmark import write_benchmark
from nextrung.reports.sections.benchmark.columns import PROPERTIES, style_models
from nextrung.reports.sections.benchmark.properties import METHODS
from nextrung.reports.sections.benchmark.results import (
    describe_leaders,
    report_benchmark,
)
from nextrung.schemas.benchmark import BenchmarkProperty, BenchmarkResults
from nextrung.schemas.evaluation import PropertyErrors

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.benchmark import BenchmarkDoc


def make_results(*models: BenchmarkDoc) -> BenchmarkResults:
    return BenchmarkResults(
        models=list(models), comparison=compare_benchmarks(list(models))
    )


def deviate(size: float, n_crystals: int = 12) -> dict[str, float | None]:
    return {f"Li {i}": size * (1 + i / n_crystals) for i in range(n_crystals)}


def test_a_shown_difference_is_claimed_and_bold() -> None:
    results = make_results(make_doc("a", deviate(0.1)), make_doc("b", deviate(0.01)))

    (claim,) = describe_leaders(results)
    html = html_of(report_benchmark(results)[0])

    assert claim == (
        "Density: b deviates less than every other model (12 shared values or more)."
    )
    assert html.count("number best") == 1


def test_total_energies_at_different_levels_are_said_to_be_incomparable() -> None:
    low, high = make_frames([0.01] * 9, [1] * 9), make_frames([0.02] * 9, [1] * 9)
    other = make_doc("b", {}, frames=high).model_copy(update={"labels": "r2SCAN"})

    energies, forces = describe_leaders(
        make_results(make_doc("a", {}, frames=low), other)
    )

    assert energies.startswith("Frame energy: not compared")
    assert forces.startswith("Frame forces: a deviates less")


def test_without_a_shown_difference_nothing_is_claimed_or_bold() -> None:
    falling = dict(zip(deviate(0.1), reversed(deviate(0.1).values()), strict=True))
    results = make_results(make_doc("a", deviate(0.1)), make_doc("b", falling))

    (claim,) = describe_leaders(results)
    html = html_of(report_benchmark(results)[0])

    assert claim == "Density: no model is shown to deviate less than another one."
    assert "number best" not in html


def test_models_shown_to_be_worse_are_named_where_there_is_no_leader() -> None:
    falling = dict(zip(deviate(0.1), reversed(deviate(0.1).values()), strict=True))
    results = make_results(
        make_doc("a", deviate(0.1)),
        make_doc("b", falling),
        make_doc("c", deviate(0.4)),
    )

    (claim,) = describe_leaders(results)

    assert claim.startswith("Density: c deviates more than ")
    assert claim.endswith("; the other models are not told apart from it.")


def test_one_model_is_compared_with_nothing() -> None:
    results = make_results(make_doc("a", deviate(0.1)))

    assert describe_leaders(results) == ["One model: nothing to compare it with."]


def test_missing_values_are_counted_with_their_reason() -> None:
    results = make_results(make_doc("a", {**deviate(0.1), "Xe fcc": None}))

    html = html_of(report_benchmark(results)[0])

    assert "1 of 13" in html
    assert "Why values are missing" in html
    assert "no value" in html
    assert "Xe fcc" in html


def test_every_crystal_is_a_point_and_a_row() -> None:
    results = make_results(make_doc("a", deviate(0.1)), make_doc("b", deviate(0.2)))

    _, density, _ = report_benchmark(results)

    (figure,) = figures_of(density).values()
    assert len(figure.columns["deviation"]) == 24
    assert html_of(density).count("made up") == 12
    assert "+10.0" in html_of(density)


def test_frames_have_a_section_with_their_labels() -> None:
    frames = make_frames([0.02] * 6, [2] * 6)
    errors = PropertyErrors(n_frames=6, n_failed=1, energy_mae=0.02, forces_mae=0.02)
    scored = make_doc("a", {}, frames=frames).model_copy(
        update={
            "frames": frames.model_copy(update={"metrics": {"all": errors}}),
            "frame_labels": "r2SCAN (VASP)",
        }
    )

    *_, section, provenance = report_benchmark(make_results(scored))

    assert provenance.title == "Provenance"

    assert section.title == "Labelled frames"
    assert "labels of r2SCAN (VASP)" in html_of(section)
    assert ">20.0<" in html_of(section)


def test_eight_models_have_eight_colors_and_short_names() -> None:
    names = ["a", "b", "c", "d", "e", "/x/f.pth.tar", "/x/g.pth.tar", "/y/g.pth.tar"]

    looks = style_models(names)

    assert len({look.colour for look in looks.values()}) == 8
    assert [look.title for look in looks.values()] == [
        *"abcde",
        "f.pth.tar",
        "/x/g.pth.tar",
        "/y/g.pth.tar",
    ]


def test_names_of_shipped_models_stay() -> None:
    names = ["chgnet-0.3.0", "sevennet-mf-0/R2SCAN"]

    assert [look.title for look in style_models(names).values()] == names


def test_every_property_has_a_title_and_a_method() -> None:
    assert set(PROPERTIES) == set(METHODS) == set(BenchmarkProperty)


@pytest.mark.parametrize("n_models", [1, 8])
def test_the_page_needs_no_other_file(tmp_path: Path, n_models: int) -> None:
    docs = [make_doc(f"model {i}", deviate(0.1 + i)) for i in range(n_models)]

    write_benchmark(make_results(*docs), tmp_path / "page.html")

    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(f"model {i}" in html for i in range(n_models))
    assert 'class="badge"' in html
