from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from nextrung.compute.alignment import score_alignment
from nextrung.schemas.alignment import AlignmentCorrections, AlignmentSettings
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

SETTINGS = AlignmentSettings()
SOURCE_REFS = {"Li": -1.0, "Na": -2.0, "F": -3.0}
TARGET_REFS = {"Li": -5.0, "Na": -30.0, "F": -10.0}


def make_frames(formulas: list[str]) -> Frames:
    structures = []
    for formula in formulas:
        symbols = [
            symbol
            for symbol, count in Composition(formula).get_el_amt_dict().items()
            for _ in range(int(count))
        ]
        coords = np.linspace(0, 1, len(symbols), endpoint=False)[:, None].repeat(3, 1)
        structures.append(Structure(Lattice.cubic(5), symbols, coords))
    return Frames.from_structures(structures, formulas)


def label(frames: Frames, refs: dict[str, float], rest: list[float]) -> Frames:
    """Energies made of references and a rest in eV/atom."""
    energies = [
        sum(refs[str(element)] * count for element, count in composition.items())
        + left * composition.num_atoms
        for composition, left in zip(frames.compositions(), rest, strict=True)
    ]
    return replace(frames, energies=np.array(energies))


def test_equal_residuals_correlate_fully_only_after_referencing() -> None:
    """The rests of both functionals are equal, their references are not."""
    frames = make_frames(["LiF", "NaF", "Li2F", "NaF3", "Na3F"])
    rest = [-1.0, -0.8, -0.5, -0.1, -0.7]
    target, source = label(frames, TARGET_REFS, rest), label(frames, SOURCE_REFS, rest)

    score = score_alignment(
        target,
        source,
        source_refs=SOURCE_REFS,
        target_refs=TARGET_REFS,
        settings=SETTINGS,
    )

    assert score.correlation_referenced == pytest.approx(1)
    assert score.correlation == pytest.approx(
        np.corrcoef(source.energies / source.n_atoms, target.energies / target.n_atoms)[
            0, 1
        ]
    )
    assert score.mean_absolute_difference_referenced == pytest.approx(0, abs=1e-12)
    assert score.elements["Na"].shift == pytest.approx(-28)
    assert score.rows.source_referenced == pytest.approx(rest)
    assert score.rows.formula == ["LiF", "NaF", "Li2F", "NaF3", "Na3F"]


def test_importance_is_divided_by_atoms_and_scaled() -> None:
    frames = make_frames(["LiF3", "LiF3", "NaF3", "Na2F6"])
    target = label(frames, TARGET_REFS, [0.0, 0.0, 1.0, 1.0])
    source = label(frames, SOURCE_REFS, [0.0] * 4)

    for scale in (None, 6.0):
        elements = score_alignment(
            target,
            source,
            source_refs=SOURCE_REFS,
            target_refs=TARGET_REFS,
            settings=AlignmentSettings(importance_scale=scale),
        ).elements
        per_atom = {s: e.importance / e.n_atoms for s, e in elements.items()}
        expected = scale or 1 / max(per_atom.values())
        for symbol, element in elements.items():
            assert element.normalised_importance == pytest.approx(
                per_atom[symbol] * expected
            )


@pytest.mark.parametrize(
    ("corrections", "held"),
    [
        (AlignmentCorrections.IN_SOURCE, (0, -0.614 / 2)),
        (AlignmentCorrections.IN_TARGET, (-0.614 / 2, 0)),
        (AlignmentCorrections.MISSING_IN_SOURCE, (0, 0)),
        (AlignmentCorrections.MISSING_IN_TARGET, (0, 0)),
    ],
)
def test_corrections_make_chlorine_important(
    corrections: AlignmentCorrections, held: tuple[float, float]
) -> None:
    """The functionals differ only by corrections of chlorides in one of them."""
    frames = make_frames(["Li", "Na", "Cl", "LiCl", "NaCl", "LiNa"])
    refs = {"Li": -1.0, "Na": -2.0, "Cl": -3.0}
    chlorides = np.array([0, 0, 0, 1, 1, 0])
    score = score_alignment(
        label(frames, refs, (chlorides * held[0]).tolist()),
        label(frames, refs, (chlorides * held[1]).tolist()),
        source_refs=refs,
        target_refs=refs,
        settings=SETTINGS,
        corrections=corrections,
    )
    chlorine = score.elements["Cl"]

    assert score.corrections is corrections
    assert chlorine.importance > 0.5
    assert all(
        found.importance_uncorrected == pytest.approx(0, abs=1e-9)
        for found in score.elements.values()
    )


def test_frames_that_cannot_be_compared_are_counted_by_reason() -> None:
    frames = make_frames(["LiF", "NaF", "LiYb", "Li2F", "LiF2"])
    energies = np.array([-9.0, np.nan, -3.0, -4.0, -5.0])
    source = np.array([-9.0, -3.0, -3.0, np.nan, -1.0])

    score = score_alignment(
        replace(frames, energies=energies),
        replace(frames, energies=source),
        source_refs=SOURCE_REFS | {"Yb": -1.0},
        target_refs=TARGET_REFS,
        settings=SETTINGS,
    )

    assert score.left_out == {
        "no target energy": 1,
        "no atomic reference energy for Yb": 1,
        "no source energy": 1,
    }
    assert (score.n_frames, score.n_left_out) == (2, 3)
    assert set(score.elements) == {"Li", "F"}


def test_without_frames_to_compare_there_is_no_correlation() -> None:
    empty = make_frames([])

    score = score_alignment(
        empty, empty, source_refs={}, target_refs={}, settings=SETTINGS
    )

    assert score.correlation is score.mean_absolute_difference is None
    assert score.elements == {}


def test_energies_of_other_frames_are_rejected() -> None:
    frames = make_frames(["LiF", "NaF"])

    with pytest.raises(InputError, match="2 labelled frames in their order, got 1"):
        score_alignment(
            frames, frames[:1], source_refs={}, target_refs={}, settings=SETTINGS
        )
