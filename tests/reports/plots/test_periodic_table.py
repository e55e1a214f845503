"""The periodic table."""

from __future__ import annotations

import pytest

from nextrung.reports.plots.periodic_table import Scale, locate, plot_periodic_table


@pytest.mark.parametrize(
    ("symbol", "where"),
    [
        ("H", (0, 0)),
        ("He", (0, 17)),
        ("B", (1, 12)),
        ("Fe", (3, 7)),
        ("La", (7, 2)),
        ("Lu", (7, 16)),
        ("Hf", (5, 3)),
        ("U", (8, 5)),
    ],
)
def test_elements_are_in_their_period_and_group(
    symbol: str, where: tuple[int, int]
) -> None:
    assert locate(symbol) == where


def test_values_are_on_the_tiles_of_their_elements() -> None:
    drawn = plot_periodic_table({"O": 2.5}, {"O": "text"}, title="t")
    row, column = locate("O")
    _, coloured = drawn.data
    assert coloured.z[row][column] == pytest.approx(2.5)
    assert coloured.customdata[row][column] == "<b>O</b><br>text"
    assert sum(value is not None for line in coloured.z for value in line) == 1


def test_a_logarithmic_scale_leaves_out_zero() -> None:
    values = {"O": 100.0, "F": 0.0}
    _, coloured = plot_periodic_table(
        values, {}, title="t", scale=Scale.LOGARITHMIC
    ).data
    found = [value for line in coloured.z for value in line if value is not None]
    assert found == pytest.approx([2.0])


def test_a_diverging_scale_is_centred_on_zero() -> None:
    drawn = plot_periodic_table({"O": -3.0}, {}, title="t", scale=Scale.DIVERGING)
    assert drawn.data[1].zmid == 0


def test_a_logarithmic_colour_bar_has_ticks_at_values() -> None:
    def ticks(values: dict[str, float]) -> list[str]:
        drawn = plot_periodic_table(values, {}, title="t", scale=Scale.LOGARITHMIC)
        return list(drawn.data[1].colorbar.ticktext or ())

    assert ticks({"O": 3.0, "F": 5000.0}) == ["10", "100", "1,000"]
    assert ticks({"O": 18.0, "F": 27.0}) == ["18", "27"]
    assert ticks({}) == []
