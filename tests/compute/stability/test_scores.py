from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Composition
from tests.compute.stability.materials import MaterialEnergies
from tests.compute.stability.materials import score as score_stability

from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationStatus
from nextrung.schemas.stability import (
    Competitors,
    StabilitySettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.stability import StabilityRecord
    from nextrung.schemas.stability.table import StabilityTable

BARTEL = StabilitySettings()


def make_material(
    formula: str,
    target: float | None,
    predicted: float | None,
    *,
    unrelaxed: float | None = None,
    split: str = "test",
) -> MaterialEnergies:
    """Build a material from energies in eV/atom."""
    composition = Composition(formula)

    def total(energy: float | None) -> float | None:
        return None if energy is None else energy * composition.num_atoms

    failed = predicted is None
    return MaterialEnergies(
        material_id=formula,
        composition=composition.get_el_amt_dict(),
        split=split,
        target_energy=total(target),
        predicted_energy=total(predicted),
        unrelaxed_energy=total(unrelaxed),
        status=RelaxationStatus.ISOLATED_ATOM if failed else RelaxationStatus.CONVERGED,
    )


def rows_by_id(table: StabilityTable) -> Mapping[str, StabilityRecord]:
    return {row.material_id: row for row in table.to_records()}


def test_a_shift_of_the_elements_changes_no_energy_difference() -> None:
    """Adding 1 eV per Li and 2 eV per F to a model leaves its own hull alone.

    Measured from the labels' elements instead, LiF is off by the mean of both shifts.
    """
    score, _ = score_stability(
        [
            make_material("Li", 0, 1, split="train"),
            make_material("F", 0, 2, split="train"),
            make_material("LiF", -1, -1 + 1.5),
        ],
        BARTEL,
    )

    test = score.metrics["test"]
    assert test.decomposition_energy_mae == pytest.approx(0)
    assert test.formation_energy_mae == pytest.approx(0)
    assert test.formation_energy_mae_target_references == pytest.approx(1.5)
    assert score.metrics["all"].n_materials == 3


def test_errors_are_averaged_over_the_materials_of_a_split() -> None:
    """LiF is 0.1 too low; Li3F, which decomposes into it, 0.5 * 0.1 + 0.3 too high."""
    score, table = score_stability(
        [
            make_material("Li", 0, 0),
            make_material("F", 0, 0),
            make_material("LiF", -1, -1.1),
            make_material("Li3F", -0.4, -0.1, split="val"),
        ],
        BARTEL,
    )

    row = rows_by_id(table)["Li3F"]
    assert row.target_decomposition_energy == pytest.approx(0.1)
    assert row.predicted_decomposition_energy == pytest.approx(0.45)
    assert score.metrics["val"].decomposition_energy_mae == pytest.approx(0.35)
    assert score.metrics["val"].formation_energy_mae == pytest.approx(0.3)


def test_stability_is_counted_in_a_hand_made_confusion_table() -> None:
    """Elements and LiF rightly stable, NaF missed, KF made up, RbF rightly not."""
    materials = [make_material(symbol, 0, 0) for symbol in ("Li", "Na", "K", "Rb", "F")]
    materials += [
        make_material("LiF", -1, -1),
        make_material("NaF", -1, 0.1),
        make_material("KF", 0.1, -1),
        make_material("RbF", 0.1, 0.2),
    ]

    errors = score_stability(materials, BARTEL)[0].metrics["all"]

    assert (errors.true_stable, errors.false_unstable) == (6, 1)
    assert (errors.false_stable, errors.true_unstable) == (1, 1)
    assert errors.precision == errors.recall == pytest.approx(6 / 7)
    assert errors.f1 == pytest.approx(6 / 7)


def test_the_limit_of_stability_is_a_setting() -> None:
    materials = [make_material(symbol, 0, 0) for symbol in ("Li", "F")]
    materials.append(make_material("LiF", 0.02, 0.04))

    _, table = score_stability(materials, StabilitySettings(stable_below=0.03))

    row = rows_by_id(table)["LiF"]
    assert (row.target_stable, row.predicted_stable) == (True, False)


def test_polymorphs_compete_where_the_settings_say_so() -> None:
    materials = [make_material(symbol, 0, 0) for symbol in ("Li", "F")]
    materials += [make_material("LiF", -1, -1), make_material("Li2F2", -0.9, -0.9)]

    _, table = score_stability(
        materials, StabilitySettings(competitors=Competitors.SELF)
    )

    row = rows_by_id(table)["Li2F2"]
    assert row.target_decomposition_energy == pytest.approx(0.1)
    assert [phase.entry_id for phase in row.target_competing_phases] == ["LiF"]


def test_failed_relaxations_are_left_out_and_then_replaced() -> None:
    """Without LiF the model's Li3F competes with elements; with it, half of -0.8."""
    materials = [make_material(symbol, 0, 0) for symbol in ("Li", "F")]
    materials += [
        make_material("LiF", -1, None, unrelaxed=-0.8),
        make_material("Li3F", -0.4, -0.4),
    ]

    score, table = score_stability(materials, BARTEL)

    row = rows_by_id(table)["Li3F"]
    assert row.predicted_decomposition_energy == pytest.approx(-0.4)
    assert row.predicted_decomposition_energy_unrelaxed == pytest.approx(0)
    assert row.same_products is False
    assert score.n_failed_relaxations == 1
    assert score.statuses == {"converged": 3, "isolated_atom": 1}
    assert score.metrics["all"].n_missing == 1
    assert score.metrics_with_unrelaxed["all"].n_missing == 0
    assert score.metrics_with_unrelaxed["all"].decomposition_energy_mae == (
        pytest.approx((0 + 0 + 0.2 + 0.1) / 4)
    )


def test_without_common_energies_there_is_no_error_to_report() -> None:
    errors = score_stability([make_material("Li", 0, None)], BARTEL)[0].metrics["all"]

    assert (errors.n_materials, errors.n_missing) == (0, 1)
    assert errors.decomposition_energy_mae is errors.precision is errors.f1 is None


def test_no_materials_have_no_score() -> None:
    score, table = score_stability([], BARTEL)

    assert table.to_records() == []
    assert score.metrics["all"].n_materials == 0


def test_two_materials_of_one_id_are_rejected() -> None:
    with pytest.raises(InputError, match="got Li twice"):
        score_stability([make_material("Li", 0, 0)] * 2, BARTEL)


def test_elements_are_counted_and_left_out_of_the_errors_of_compounds() -> None:
    """Two elements without error by definition, and LiF 0.3 eV/atom too high."""
    score, _ = score_stability(
        [
            make_material("Li", 0, 0),
            make_material("F", 0, 0),
            make_material("LiF", -1, -0.7),
        ],
        BARTEL,
    )

    test = score.metrics["test"]
    assert test.n_elements == 2
    assert test.decomposition_energy_mae == pytest.approx(0.1)
    assert test.decomposition_energy_mae_compounds == pytest.approx(0.3)
    assert test.formation_energy_mae_compounds == pytest.approx(0.3)
    assert test.decomposition_energy_baseline_mae == pytest.approx(1 / 3)
    assert test.formation_energy_baseline_mae == pytest.approx(1 / 3)
