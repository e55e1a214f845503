"""Reports in a browser: the made-up study, the demo and real data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from tests.reports.browser import open_page, read_page

from nextrung.reports.html.model_style import appearance
from nextrung.reports.pages.page import write_report
from nextrung.schemas.evaluation import EvaluationDoc, FrameResiduals
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Browser

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc

WORKFLOWS = Path(__file__).parents[2] / "workflows"

#: Settings that make the studies of the project small enough for tests.
SMALL = {
    "demo": (
        "models=[source, scratch, residual_atom_refs]",
        "training.epochs=1",
        "relaxation.max_steps=10",
        "density.n_crystals=2",
        "density.relaxation.max_steps=10",
        "scaling_law.sizes=[20, 40]",
    ),
    "tm_oxides_fluorides": (
        (
            "dataset.source.paths="
            "[$NEXTRUNG_DATA/r2scan-tm-fluorides, $NEXTRUNG_DATA/traps]"
        ),
        "models=[source, scratch, residual_atom_refs]",
        "training.epochs=1",
        "relaxation.max_steps=3",
        "density=null",
        "scaling_law=null",
    ),
}


@pytest.fixture(scope="module", params=list(SMALL))
def run_folder(
    request: pytest.FixtureRequest,
    real_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The run folder of a study of the project, with fewer frames and steps."""
    folder = tmp_path_factory.mktemp(request.param)
    overrides = [part for item in SMALL[request.param] for part in ("--set", item)]
    file = WORKFLOWS / f"{request.param}.yaml"
    command = [str(Path(sys.executable).parent / "nextrung"), "run"]
    subprocess.run(  # noqa: S603
        [*command, str(file), "--root", str(folder), *overrides],
        env=os.environ | {"NEXTRUNG_DATA": str(real_data)},
        check=True,
        capture_output=True,
    )
    return folder


DRAWN = (
    "[...document.querySelectorAll('figure.chart')].map(figure =>"
    " figure.querySelectorAll('.trace, .hm, .barlayer path, image').length)"
)


@pytest.mark.slow
def test_reports_of_studies_are_drawn_completely(
    browser: Browser, run_folder: Path, tmp_path: Path
) -> None:
    path = run_folder / "report.html"
    settings: tuple[tuple[Literal["light", "dark"], int], ...] = (
        ("light", 1200), ("dark", 1200), ("light", 400),
    )  # fmt: skip
    for scheme, width in settings:
        page, complaints = open_page(browser, path, width, scheme)
        assert complaints == []
        assert all(count > 0 for count in page.evaluate(DRAWN))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width > 1000:
            table = "document.querySelector('#results .scroll')"
            assert page.evaluate(f"{table}.scrollWidth <= {table}.clientWidth")
        page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
        page.close()


@pytest.mark.slow
def test_numbers_of_a_report_are_those_of_the_command_line(run_folder: Path) -> None:
    page = read_page(run_folder / "report.html")
    results = json.loads((run_folder / "results.json").read_text())
    shown: dict[tuple[str, str], float] = {}
    model = column = ""
    for tag, attributes in page.tags:
        model = attributes.get("data-model") or model
        column = attributes.get("data-column") or ("" if tag == "td" else column)
        if tag == "data" and column:
            shown[model, column] = float(attributes.get("value") or "nan")
    for name, found in results["models"].items():
        test = found["metrics"]["test"]
        repeated = results["repeats"].get(name, {}).get("spread", {})
        for key in ("energy", "forces", "stress"):
            spread = repeated.get(key) or {"std": None}
            first = test[f"{key}_mae"]
            assert shown[name, key] == (
                first if spread["std"] is None else spread["mean"]
            )
    names = page.attributes("id")
    links = [href[1:] for href in page.attributes("href") if href.startswith("#")]
    assert set(links) <= set(names)


@pytest.mark.slow
def test_missing_stages_of_a_study_are_mentioned(run_folder: Path) -> None:
    text = " ".join(read_page(run_folder / "report.html").texts)
    results = json.loads((run_folder / "results.json").read_text())
    for stage, missing in (
        ("density", results["models"]["source"]["density"] is None),
        ("scaling law", results["scaling_law"] is None),
    ):
        assert (f"The study leaves the {stage} stage out." in text) == missing


@pytest.mark.slow
def test_hovering_a_point_shows_its_frame_id(
    browser: Browser, run_folder: Path
) -> None:
    page, _ = open_page(browser, run_folder / "report.html")
    page.evaluate("document.querySelector('#alignment-total').scrollIntoView()")
    name = page.evaluate(
        """() => {
            const plot = document.querySelector("#alignment-total .plot");
            Plotly.Fx.hover(plot, [{ curveNumber: 1, pointNumber: 0 }]);
            return plot.data[1].text[0];
        }"""
    )
    page.wait_for_selector("#alignment-total .hovertext")
    assert name in (page.text_content("#alignment-total .hovertext") or "")
    page.close()


@pytest.fixture(scope="module")
def large_report(
    study: StudyDoc,
    documents: Mapping[str, TaskDoc],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The report of a study of eight models and 24,000 test frames."""
    rng = np.random.default_rng(0)
    n_frames = 24_000
    labels = rng.normal(-5, 2, n_frames)
    grown: dict[str, TaskDoc] = dict(documents)
    for key, document in documents.items():
        if isinstance(document, EvaluationDoc):
            rows = FrameResiduals(
                frame_id=[f"mp-{index}-0-0" for index in range(n_frames)],
                material_id=[f"mp-{index // 7}" for index in range(n_frames)],
                formula=["LiMnO2"] * n_frames,
                split=["test"] * n_frames,
                n_atoms=[31] * n_frames,
                energy_per_atom=labels.tolist(),
                predicted_energy_per_atom=(
                    labels + rng.normal(0, 0.05, n_frames)
                ).tolist(),
                forces_mae=[0.05] * n_frames,
                stress_mae=[0.5] * n_frames,
                magmoms_mae=[0.1] * n_frames,
            )
            grown[key] = document.model_copy(update={"rows": rows})
    path = tmp_path_factory.mktemp("large") / "report.html"
    write_report(study, grown, path)
    return path


@pytest.mark.slow
def test_a_report_of_24000_test_frames_opens_within_three_seconds(
    browser: Browser, large_report: Path
) -> None:
    assert large_report.stat().st_size < 20e6
    times = []
    for _ in range(5):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        page.goto(large_report.as_uri())
        page.wait_for_selector("#results table")
        times.append(time.perf_counter() - started)
        page.close()
    assert min(times) < 3


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 400)])
def test_a_browser_draws_every_figure_without_errors(
    browser: Browser,
    report: Path,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    page, complaints = open_page(browser, report, width, scheme)
    assert complaints == []
    assert all(count > 0 for count in page.evaluate(DRAWN))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    page.close()


@pytest.mark.slow
def test_hovering_shows_the_id_of_a_frame(browser: Browser, report: Path) -> None:
    page, complaints = open_page(browser, report)
    page.evaluate("document.querySelector('#parity').scrollIntoView()")
    page.evaluate(
        """() => {
            const plot = document.querySelector("#parity .plot");
            const visible = plot.data.map((trace) => trace.visible);
            const curve = visible.lastIndexOf(true);
            Plotly.Fx.hover(plot, [{ curveNumber: curve, pointNumber: 0 }]);
        }"""
    )
    page.wait_for_selector("#parity .hovertext")
    assert "Li2O2-0" in (page.text_content("#parity .hovertext") or "")
    assert complaints == []
    page.close()


@pytest.mark.slow
def test_a_view_shows_another_model(browser: Browser, report: Path) -> None:
    page, _ = open_page(browser, report)
    page.select_option("#parity select", appearance(Model.SCRATCH).title)
    shown = page.evaluate(
        "document.querySelector('#parity .plot').data"
        ".filter(trace => trace.visible).map(trace => trace.name)"
    )
    assert appearance(Model.SCRATCH).title in shown
    assert len(shown) == 2
    page.close()


@pytest.mark.slow
def test_larger_systems_are_listed_and_not_drawn(
    browser: Browser, report: Path
) -> None:
    page, complaints = open_page(browser, report)
    page.fill("#hull-explorer input", "Li-Mn-O-Na-K")
    page.press("#hull-explorer input", "Tab")
    note = page.text_content(".hull-note") or ""
    assert "Hulls of five and more elements are not drawn" in note
    assert page.locator(".hull-table tbody tr").count() == 11
    assert not page.locator(".hull-plot").is_visible()
    assert complaints == []
    page.close()


@pytest.mark.slow
def test_the_hull_explorer_draws_any_system(browser: Browser, report: Path) -> None:
    page, complaints = open_page(browser, report)
    for system, count in (("Mn-O", 5), ("Li-Mn-O", 11), ("Li", 1)):
        page.fill("#hull-explorer input", system)
        page.press("#hull-explorer input", "Tab")
        assert page.locator(".hull-table tbody tr").count() == count
    assert complaints == []
    page.close()
