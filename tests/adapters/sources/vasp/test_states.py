from __future__ import annotations

from typing import Any

import pytest

from nextrung.adapters.sources.vasp.states import find_states


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, []),
        ({"ICHARG": 1, "NELECT": "8.0000", "LSORBIT": False, "EFIELD": 0.0}, []),
        ({"ICHARG": 11}, ["fixed_density"]),
        ({"NELECT": 7.0}, ["charged"]),
        ({"NELECT": "8.5000"}, ["charged"]),
        ({"LSORBIT": "T"}, ["spin_orbit"]),
        ({"LNONCOLLINEAR": True}, []),
        ({"I_CONSTRAINED_M": "1"}, ["constrained_moments"]),
        ({"EFIELD": "0.05"}, ["electric_field"]),
        ({"ICHARG": "12", "LSORBIT": ".TRUE."}, ["fixed_density", "spin_orbit"]),
        ({"ICHARG": ""}, []),
    ],
    ids=str,
)
def test_states_other_than_the_ground_state_are_found(
    tags: dict[str, Any], expected: list[str]
) -> None:
    assert sorted(find_states(tags, 8.0)) == expected


def test_without_valence_electrons_no_charge_is_claimed() -> None:
    assert find_states({"NELECT": 7.0}) == frozenset()
