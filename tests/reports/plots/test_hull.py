"""What is drawn of the hulls of labels and models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import pytest

from nextrung.compute.stability import score_stability
from nextrung.reports.plots.hull import plot_sides
from nextrung.reports.plots.hull_data import list_within, parse_system, read_hull_data
from nextrung.schemas.stability import MaterialEnergies, StabilitySettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.plots.figure import Figure
    from nextrung.reports.plots.hull_data import HullData

#: Atoms, and energies in eV/atom of the labels and of two models.
MATERIALS: tuple[tuple[dict[str, float], float, float, float], ...] = (
    ({"Li": 1}, 0, 0, 0),
    ({"Fe": 1}, 0, 0, 0),
    ({"P": 1}, 0, 0, 0),
    ({"O": 1}, 0, 0, 0),
    ({"O": 2}, 0.3, 0.2, 0.1),
    ({"Li": 2, "O": 1}, -2, -2.1, -1.9),
    ({"Li": 2, "O": 2}, -1.6, -1.2, -1.6),
    ({"Fe": 1, "O": 1}, -1.4, -1.4, -1.4),
    ({"Li": 1, "Fe": 1, "O": 2}, -1.9, -1.9, -1.9),
    ({"Li": 1, "Fe": 1, "P": 1, "O": 4}, -2.5, -2.5, -2.5),
)


def draw(system: str, n_models: int = 2) -> tuple[Figure, HullData, list[HullData]]:
    sides: list[HullData] = []
    for column in range(1, 1 + n_models):
        materials = [
            MaterialEnergies(
                material_id=f"m-{place}",
                composition=composition,
                split="test",
                target_energy=energies[0] * sum(composition.values()),
                predicted_energy=energies[column] * sum(composition.values()),
            )
            for place, (composition, *energies) in enumerate(MATERIALS)
        ]
        rows = score_stability(materials, StabilitySettings()).rows
        elements = parse_system(system, rows)
        within = list_within(rows, elements)
        labels = read_hull_data(within, elements, source="target", title="labels")
        title = f"model {column}"
        sides.append(read_hull_data(within, elements, source="predicted", title=title))
    return plot_sides(labels, sides), labels, sides


def find_markers(figure: Figure) -> dict[str, go.Scatter | go.Scatter3d]:
    return {trace.name: trace for trace in figure.plot.data if trace.mode == "markers"}


def test_a_view_shows_the_labels_and_one_model() -> None:
    figure, _, _ = draw("Li-O")

    assert list(figure.views) == ["model 1", "model 2"]
    assert figure.shown == "model 1"
    for title, places in figure.views.items():
        shown = [figure.plot.data[place].name for place in places]
        assert {name for name in shown if name} == {"labels", title}
    together = set().union(*figure.views.values())
    assert together == set(range(len(figure.plot.data)))


def test_one_model_needs_no_choice_and_is_named() -> None:
    figure, _, _ = draw("Li-O", n_models=1)

    assert figure.views == {}
    assert figure.plot.layout.annotations[1].text == "<b>model 1</b>"


def test_two_elements_are_drawn_as_energy_over_composition() -> None:
    figure, labels, _ = draw("Li-O")

    drawn = find_markers(figure)["labels"]
    place = [row.material_id for row in labels.rows].index("m-6")
    assert drawn.x[place] == pytest.approx(0.5)
    assert drawn.y[place] == pytest.approx(-1600)
    assert (drawn.xaxis, drawn.yaxis) == ("x", "y")
    assert find_markers(figure)["model 2"].xaxis == "x2"


def test_the_line_of_a_binary_hull_joins_its_stable_phases() -> None:
    """Li2O2 is on the hull of the labels; the first model has it above the line."""
    figure, _, _ = draw("Li-O")

    lines = [trace for trace in figure.plot.data if trace.mode == "lines"]
    ends = [{x for x in line.x if not np.isnan(x)} for line in lines]
    assert sorted(ends[0]) == pytest.approx([0, 1 / 3, 0.5, 1], abs=1e-5)
    assert sorted(ends[1]) == pytest.approx([0, 1 / 3, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("system", "kind"), [("Li-Fe-O", go.Scatter), ("Li-Fe-P-O", go.Scatter3d)]
)
def test_more_elements_are_drawn_as_compositions(system: str, kind: type) -> None:
    figure, _, _ = draw(system)

    assert all(isinstance(trace, kind) for trace in figure.plot.data)
    names = {str(text) for trace in figure.plot.data for text in trace.text or ()}
    assert {f"<b>{symbol}</b>" for symbol in system.split("-")} <= names


def test_materials_lie_at_the_centre_of_mass_of_their_elements() -> None:
    figure, labels, _ = draw("Li-Fe-O")

    drawn = find_markers(figure)["labels"]
    place = [row.material_id for row in labels.rows].index("m-8")
    assert drawn.x[place] == pytest.approx(0.25 * 0 + 0.25 * 1 + 0.5 * 0.5)
    assert drawn.y[place] == pytest.approx(0.5 * np.sqrt(0.75), abs=1e-5)


def test_filled_markers_are_on_the_hull_and_colours_are_energies_above_it() -> None:
    figure, labels, _ = draw("Li-O")

    marker = find_markers(figure)["labels"].marker
    for place, above in enumerate(labels.above_hull):
        assert marker.color[place] == pytest.approx(1000 * above, abs=0.01)
        assert (marker.symbol[place] == "circle") is (above == 0)
    assert "circle-open" in marker.symbol


def test_the_pointer_shows_name_formula_and_energies_of_both_sides() -> None:
    figure, _, sides = draw("Li-O")

    texts = find_markers(figure)["model 1"].text
    text = texts[[row.material_id for row in sides[0].rows].index("m-6")]
    assert "<b>Li2O2</b> m-6" in text
    assert "formation -1600.0 (labels), -1200.0 (here)" in text
    # halfway from Li2O at -2100 to O at 0, in atoms: 3/4 of -2100 is -1575
    assert "above hull 0.0 (labels), 375.0 (here) meV/atom" in text


def test_columns_list_every_material_of_every_side() -> None:
    figure, labels, sides = draw("Li-O")

    columns: Mapping[str, object] = figure.columns
    listed = [row.material_id for side in (labels, *sides) for row in side.rows]
    assert columns["material_id"] == listed
    assert columns["energies"] == [
        side.title for side in (labels, *sides) for _ in side.rows
    ]


def test_a_crowded_hull_is_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextrung.reports.plots.hull._MOST_NAMED", 1)

    figure, _, _ = draw("Li-O")

    texts = [trace.text for trace in figure.plot.data if trace.mode == "text"]
    assert [len(text or ()) for text in texts] == [0, 1, 0]
