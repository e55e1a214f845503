from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry

from nextrung.compute.alignment.correction_estimates import (
    HUBBARD_U,
    estimate_corrections,
    locate_corrections,
)
from nextrung.schemas.alignment import AlignmentCorrections
from nextrung.schemas.frames import Frames


def rock_salt(metal: str, anion: str, length: float) -> Structure:
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(length), [metal, anion], [[0, 0, 0], [0.5] * 3]
    )
    return cell.get_primitive_structure()


IRON = Structure(Lattice.cubic(2.8), ["Fe"] * 2, [[0, 0, 0], [0.5] * 3])
CRYSTALS = [rock_salt("Mn", "O", 4.4), rock_salt("Na", "Cl", 5.6), IRON]


def test_corrections_are_those_of_mp2020() -> None:
    """Table of MP2020: O −0.687, Mn in oxides −1.668, Cl −0.614 eV per atom."""
    corrections = estimate_corrections(Frames.from_structures(CRYSTALS))

    assert corrections == pytest.approx([(-0.687 - 1.668) / 2, -0.614 / 2, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("functional", "expected"),
    [
        ("GGA/GGA+U (MP2020-corrected)", AlignmentCorrections.IN_SOURCE),
        ("GGA/GGA+U", AlignmentCorrections.MISSING_IN_SOURCE),
        ("PBE", AlignmentCorrections.NONE),
        ("r2SCAN", AlignmentCorrections.NONE),
        ("unknown functional", AlignmentCorrections.NONE),
    ],
)
def test_corrections_are_where_the_functional_of_the_source_says(
    functional: str, expected: AlignmentCorrections
) -> None:
    assert locate_corrections(functional) is expected


def test_a_metal_has_a_hubbard_u_in_oxides_and_fluorides_only() -> None:
    sulfide = rock_salt("Mn", "S", 5.2)
    (correction,) = estimate_corrections(Frames.from_structures([sulfide]))
    entry = ComputedStructureEntry(sulfide, 0.0, parameters={"run_type": "GGA"})
    scheme = MaterialsProject2020Compatibility(check_potcar=False)

    assert "Mn" in HUBBARD_U
    assert correction == pytest.approx(scheme.process_entry(entry).correction / 2)


def test_frames_of_one_material_share_a_correction() -> None:
    frames = Frames.from_structures([CRYSTALS[0], CRYSTALS[0].copy()])
    stretched = replace(
        frames,
        lattices=frames.lattices * np.array([1, 1.5])[:, None, None],
        material_ids=np.array(["a", "a"]),
    )
    first, second = estimate_corrections(stretched)
    assert first == second != 0


def test_no_frame_has_no_correction() -> None:
    assert len(estimate_corrections(Frames.from_structures([]))) == 0
