from __future__ import annotations

from typing import Any

import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_materials


def test_target_hull_is_that_of_the_labels(documents: dict[str, Any]) -> None:
    materials = read_materials(artifact_path(documents["dataset"].materials))
    structures = materials.initial.to_structures()
    entries = [
        PDEntry(structure.composition, energy)
        for structure, energy in zip(structures, materials.energies, strict=True)
    ]
    diagram = PhaseDiagram(entries)

    for entry, row in zip(entries, documents["stability/source"].rows, strict=True):
        expected = diagram.get_e_above_hull(entry)
        assert row.target_energy_above_hull == pytest.approx(expected, abs=1e-6)


def test_every_material_has_a_row_in_order(documents: dict[str, Any]) -> None:
    materials = read_materials(artifact_path(documents["dataset"].materials))

    rows = documents["stability/scratch"].rows

    assert [row.material_id for row in rows] == materials.initial.material_ids.tolist()
