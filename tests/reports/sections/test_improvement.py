from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from tests.compute.test_improvement import make_round
from tests.made_up_study import make_provenance

from nextrung.reports.pages.improvement import write_improvement
from nextrung.reports.sections.improvement import describe_pair, rounds_table
from nextrung.schemas.improvement import (
    ImprovementDoc,
    ImprovementSettings,
    LabelOutcome,
    PotentialLabels,
    StopReason,
    Strategy,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.improvement import ImprovementRound


def make_loop(
    *rounds: ImprovementRound,
    strategy: Strategy = Strategy.EXPECTED_GAIN,
    **fields: Any,  # noqa: ANN401
) -> ImprovementDoc:
    settings = ImprovementSettings(
        engine=PotentialLabels(), budget=16, batch=8, target=0.02, strategy=strategy
    )
    values = {
        "study": "small",
        "settings": settings,
        "labels": "r2SCAN (made up)",
        "held_out": "the same",
        "rounds": list(rounds),
        "n_structures": 40,
        "n_held_out_structures": 3,
        "stop": StopReason.BUDGET_SPENT,
        "reason": "16 of 16 labels are spent",
        "provenance": make_provenance("improvement"),
    }
    return ImprovementDoc.model_validate(values | fields)


def make_pair(error: float, other: float, **fields: Any) -> str:  # noqa: ANN401
    """Compare two loops with 8 labels each; intervals are 10 % wide."""
    chosen = make_loop(make_round(0.06, n_labels=0), make_round(error))
    drawn = make_loop(
        make_round(0.06, n_labels=0),
        make_round(other),
        make_round(0.9 * other, n_labels=16),
        strategy=Strategy.RANDOM,
        **fields,
    )
    return describe_pair(chosen, drawn)


def test_a_loop_is_called_lower_where_the_intervals_are_apart() -> None:
    text = make_pair(0.03, 0.05)

    assert "With 8 labels, the energy MAE of expected gain is 30.00 meV/atom" in text
    assert "that of the other run (random choice) 50.00 meV/atom (45.00" in text
    assert "it is lower" in text


def test_a_loop_is_called_higher_where_it_is() -> None:
    assert "it is higher" in make_pair(0.05, 0.03)


def test_overlapping_intervals_make_no_claim() -> None:
    text = make_pair(0.046, 0.05)

    assert "the intervals overlap, so that neither is called lower" in text
    assert "it is" not in text


def test_errors_without_intervals_make_no_claim() -> None:
    few = make_loop(make_round(0.01, low=None, high=None))
    text = describe_pair(few, make_loop(make_round(0.05), strategy=Strategy.RANDOM))

    assert "too few materials for intervals" in text
    assert "it is" not in text


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (make_loop(make_round(), held_out="others"), "its held-out frames are others"),
        (make_loop(make_round(n_labels=5)), "no round has as many labels"),
        (make_loop(make_round(n_labels=0)), "no round has as many labels"),
    ],
)
def test_loops_that_cannot_be_compared_are_not(
    other: ImprovementDoc, reason: str
) -> None:
    text = describe_pair(make_loop(make_round(0.001)), other)

    assert text.startswith("Not compared with the other run")
    assert reason in text


def test_labels_needed_are_said_of_both() -> None:
    text = make_pair(0.03, 0.05, stop=StopReason.TARGET_REACHED)

    assert "By expected gain, a target of 20 meV/atom was not reached with 8" in text
    assert "a target of 20 meV/atom was reached with 16 labels" in text


def test_the_page_has_rounds_choices_and_failures(tmp_path: Path) -> None:
    failed = LabelOutcome(
        frame_id="a",
        material_id="a",
        n_frames=0,
        energy_per_atom=None,
        error="failed_labelling: did not converge",
    )
    chosen = {
        "rank": 1,
        "frame_id": "a",
        "material_id": "a",
        "formula": "MgO",
        "n_atoms": 2,
        "leverage": 0.5,
        "disagreement": 0.012,
        "force_disagreement": None,
        "distance": 0.25,
        "expected_gain": 0.034,
    }
    loop = make_loop(
        make_round(0.06, number=0, n_labels=0, chosen=[chosen]),
        make_round(labels=[failed], n_failed=1),
    )

    write_improvement(loop, tmp_path / "page.html", beside=loop)

    page = (tmp_path / "page.html").read_text()
    assert "16 of 16 labels are spent" in page
    assert "failed_labelling: did not converge" in page
    assert "pool of 40 structures, of which 3 are left out" in page
    assert "expected gain, other run" in page
    assert "After round 0: 1 structure" in page


def test_the_terminal_shows_errors_with_intervals() -> None:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(rounds_table(make_loop(make_round(0.05))))

    assert "50.00" in captured.get()
    assert "45.00 to 55.00" in captured.get()
