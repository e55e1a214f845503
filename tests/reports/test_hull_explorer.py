"""The hulls that the page draws, read back from a browser."""

from __future__ import annotations

from functools import cache, partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from tests.compute.stability.materials import MaterialEnergies, score
from tests.made_up_study import make_stability
from tests.reports.browser import open_page

from nextrung.reports.html.model_style import appearance
from nextrung.reports.pages.hull import write_hull
from nextrung.schemas.models import Model
from nextrung.schemas.stability import StabilitySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from nextrung.schemas.stability.table import LoadedStability

    Draw = Callable[..., dict[str, Any]]

MODELS = (Model.SOURCE, Model.SCRATCH)
TITLES = tuple(appearance(model).title for model in MODELS)

#: Energies in eV/atom of the labels and of two models; None where a model failed.
ENERGIES: dict[str, tuple[float | None, ...]] = {
    "Li": (0, 0, 0),
    "Fe": (0, 0, 0),
    "P": (0, 0, 0),
    "O": (0, 0, 0),
    "O2": (0.3, 0.2, 0.1),
    "Li2O": (-2, -2.1, -1.9),
    "Li2O2": (-1.6, -1.2, None),
    "FeO": (-1.4, -1.4, -1.4),
    "Fe2O3": (-1.7, -1.3, -1.7),
    "LiFeO2": (-1.9, -1.9, -1.0),
    "LiFePO4": (-2.5, -2.5, -2.5),
}

READ = (
    "JSON.parse(JSON.stringify((({data, layout}) => ({data, layout}))"
    "(document.querySelector('.hull-plot'))))"
)


def make_documents(
    energies: Mapping[str, tuple[float | None, ...]],
) -> dict[str, LoadedStability]:
    """Score the energies of every model."""
    documents = {}
    for column, model in enumerate(MODELS, start=1):
        materials = [
            MaterialEnergies(
                material_id=f"m-{formula}",
                composition=Composition(formula).get_el_amt_dict(),
                split="test",
                target_energy=(values[0] or 0) * composition.num_atoms,
                predicted_energy=None
                if (predicted := values[column]) is None
                else predicted * composition.num_atoms,
            )
            for formula, values in energies.items()
            for composition in [Composition(formula)]
        ]
        _, rows = score(materials, StabilitySettings())
        document = make_stability(model, 0.1)
        documents[str(model)] = document.model_copy(update={"rows": rows})
    return documents


def open_explorer(
    browser: Browser, path: Path, energies: Mapping[str, tuple[float | None, ...]]
) -> Page:
    """Open the page of the system Li-Fe-P-O, whose explorer draws subsystems too."""
    write_hull(make_documents(energies), "Li-Fe-P-O", path)
    page, _ = open_page(browser, path)
    page.wait_for_selector(".hull-plot .main-svg", state="attached")
    return page


def read_plot(page: Page, system: str, model: str = TITLES[0]) -> dict[str, Any]:
    """Draw labels and a model of a system, and read data and layout of plotly."""
    page.select_option("#hull-explorer select", model)
    page.fill("#hull-explorer input", system)
    page.press("#hull-explorer input", "Tab")
    plot: dict[str, Any] = page.evaluate(READ)
    return plot


@pytest.fixture(scope="module")
def draw(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Draw]:
    """Draw a system in a page that is opened once."""
    page = open_explorer(
        browser, tmp_path_factory.mktemp("hull") / "hull.html", ENERGIES
    )
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield cache(partial(read_plot, page))
    page.close()
    assert errors == []


def find_markers(plot: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {t["name"]: t for t in plot["data"] if t["mode"] == "markers"}


def find_material(trace: dict[str, Any], formula: str) -> int:
    names = [text.split(" ")[1].split("<")[0] for text in trace["text"]]
    return names.index(f"m-{formula}")


def find_edges(plot: dict[str, Any], panel: int) -> set[frozenset[str]]:
    """Name the ends of the tie lines of a panel by their positions."""
    markers = list(find_markers(plot).values())[panel]
    lines = [trace for trace in plot["data"] if trace["mode"] == "lines"][panel]
    axes = [axis for axis in "xyz" if axis in markers]
    stable = {
        tuple(markers[axis][i] for axis in axes): text.split(" ")[1].split("<")[0]
        for i, text in enumerate(markers["text"])
        if markers["marker"]["symbol"][i] == "circle"
    }
    points = list(zip(*(lines[axis] for axis in axes), strict=True))
    assert len(points) % 3 == 0
    return {
        frozenset((stable[points[i]], stable[points[i + 1]]))
        for i in range(0, len(points), 3)
    }


@pytest.mark.parametrize("model", TITLES)
def test_the_labels_are_beside_the_chosen_model(draw: Draw, model: str) -> None:
    plot = draw("Li-O", model)
    assert list(find_markers(plot)) == ["labels", model]
    notes = plot["layout"]["annotations"]
    assert [note["text"] for note in notes] == ["<b>labels</b>", f"<b>{model}</b>"]
    for note, axis in zip(notes, ("xaxis", "xaxis2"), strict=True):
        assert note["x"] == pytest.approx(np.mean(plot["layout"][axis]["domain"]))


def test_two_elements_are_drawn_as_energy_over_composition(draw: Draw) -> None:
    plot = draw("Li-O")
    labels, model = find_markers(plot).values()
    index = find_material(labels, "Li2O2")
    assert (labels["x"][index], labels["y"][index]) == pytest.approx((0.5, -1600))
    assert (labels["xaxis"], model["xaxis"]) == ("x", "x2")
    layout = plot["layout"]
    assert layout["yaxis2"]["matches"] == "y"
    assert "eV/atom" in layout["yaxis"]["title"]["text"]
    for axis in ("xaxis", "xaxis2"):
        assert layout[axis]["title"]["text"] == "fraction of O"


def test_the_line_of_a_binary_hull_joins_its_stable_phases(draw: Draw) -> None:
    """Li2O2 is on the hull of the labels; the first model has it above the line."""
    plot = draw("Li-O")
    lines = [trace for trace in plot["data"] if trace["mode"] == "lines"]
    ends = [{x for x in line["x"] if x is not None} for line in lines]
    assert sorted(ends[0]) == pytest.approx([0, 1 / 3, 0.5, 1])
    assert sorted(ends[1]) == pytest.approx([0, 1 / 3, 1])


@pytest.mark.parametrize("system", ["Li-O", "O-Fe", "Li-Fe-O", "Li-Fe-P-O"])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_tie_lines_are_those_of_pymatgens_hull(
    draw: Draw, system: str, column: int
) -> None:
    plot = draw(system, TITLES[max(column - 1, 0)])
    elements = set(system.split("-"))
    entries = [
        PDEntry(formula, energy * Composition(formula).num_atoms, name=f"m-{formula}")
        for formula, energies in ENERGIES.items()
        if (energy := energies[column]) is not None
        and {e.symbol for e in Composition(formula)} <= elements
    ]
    diagram = PhaseDiagram(entries)
    names = [entry.name for entry in diagram.qhull_entries]
    expected = {
        frozenset((names[one], names[other]))
        for facet in diagram.facets
        for one, other in combinations(facet.tolist(), 2)
    }
    assert find_edges(plot, min(column, 1)) == expected


@pytest.mark.parametrize(
    ("system", "kind"), [("Li-Fe-O", "scatter"), ("Li-Fe-P-O", "scatter3d")]
)
def test_more_elements_are_drawn_as_compositions(
    draw: Draw, system: str, kind: str
) -> None:
    plot = draw(system)
    assert {trace["type"] for trace in plot["data"]} == {kind}
    names = {str(text) for trace in plot["data"] for text in trace.get("text", ())}
    assert {f"<b>{symbol}</b>" for symbol in system.split("-")} <= names


@pytest.mark.parametrize("system", ["Li-Fe-O", "Li-Fe-P-O"])
def test_pure_elements_are_equally_far_from_one_another(
    draw: Draw, system: str
) -> None:
    labels = find_markers(draw(system))["labels"]
    axes = [axis for axis in "xyz" if axis in labels]
    indices = [find_material(labels, symbol) for symbol in system.split("-")]
    corners = np.array([[labels[axis][i] for axis in axes] for i in indices])
    distances = np.linalg.norm(corners[:, None] - corners, axis=2)
    np.testing.assert_allclose(distances, 1 - np.eye(len(corners)), atol=1e-9)


def test_materials_are_at_the_weighted_mean_of_their_elements(draw: Draw) -> None:
    labels = find_markers(draw("Li-Fe-O"))["labels"]
    index = find_material(labels, "LiFeO2")
    assert labels["x"][index] == pytest.approx(0.25 * 0 + 0.25 * 1 + 0.5 * 0.5)
    assert labels["y"][index] == pytest.approx(0.5 * np.sqrt(0.75))


def test_triangles_have_no_axes_and_equal_scales(draw: Draw) -> None:
    layout = draw("Li-Fe-O")["layout"]
    for x, y in (("x", "yaxis"), ("x2", "yaxis2")):
        assert layout[y]["scaleanchor"] == x
        assert not layout[y]["visible"]


def test_four_elements_have_two_scenes_side_by_side(draw: Draw) -> None:
    layout = draw("Li-Fe-P-O")["layout"]
    assert layout["scene"]["domain"]["x"][1] < layout["scene2"]["domain"]["x"][0]


def test_filled_markers_are_on_the_hull_and_colours_are_energies_above_it(
    draw: Draw,
) -> None:
    labels = find_markers(draw("Li-O"))["labels"]
    symbols = {
        formula: labels["marker"]["symbol"][find_material(labels, formula)]
        for formula in ("Li", "O", "O2", "Li2O", "Li2O2")
    }
    assert [f for f, symbol in symbols.items() if symbol == "circle-open"] == ["O2"]
    colours = labels["marker"]["color"]
    assert colours[find_material(labels, "O2")] == pytest.approx(300)
    assert colours == sorted(colours, reverse=True)


def test_materials_without_energy_are_drawn_in_the_other_panel_only(draw: Draw) -> None:
    labels, model = find_markers(draw("Li-O", TITLES[1])).values()
    assert any("m-Li2O2" in text for text in labels["text"])
    assert not any("m-Li2O2" in text for text in model["text"])


def test_hover_texts_give_formula_id_and_energies_of_labels_and_model(
    draw: Draw,
) -> None:
    model = find_markers(draw("Li-O"))[TITLES[0]]
    text = model["text"][find_material(model, "Li2O2")]
    assert "<b>Li2O2</b> m-Li2O2" in text
    assert "formation -1600.0 (labels), -1200.0 (here)" in text
    # halfway from Li2O at -2100 to O at 0, in atoms: 3/4 of -2100 is -1575
    assert "above hull 0.0 (labels), 375.0 (here) meV/atom" in text


def test_a_crowded_hull_has_no_names(browser: Browser, tmp_path: Path) -> None:
    energies = dict(ENERGIES) | {
        f"Li{n}O{17 - n}": (n * (n - 17) / 25,) * 3 for n in range(1, 17)
    }
    page = open_explorer(browser, tmp_path / "hull.html", energies)
    plot = read_plot(page, "Li-O")
    page.close()
    assert len(find_edges(plot, 0)) == 17
    texts = [trace for trace in plot["data"] if trace["mode"] == "text"]
    assert [trace["text"] for trace in texts] == [[], []]


def test_without_an_elemental_entry_there_are_no_tie_lines(draw: Draw) -> None:
    plot = draw("Li-Na-O")
    assert [t["x"] for t in plot["data"] if t["mode"] == "lines"] == [[], []]
    assert len(find_markers(plot)["labels"]["x"]) == 5
