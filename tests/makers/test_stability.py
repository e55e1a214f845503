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

    found = documents["stability/source"].rows.target_energy_above_hull
    for entry, above_hull in zip(entries, found.tolist(), strict=True):
        expected = diagram.get_e_above_hull(entry)
        assert above_hull == pytest.approx(expected, abs=1e-6)


def test_every_material_has_a_row_in_order(documents: dict[str, Any]) -> None:
    materials = read_materials(artifact_path(documents["dataset"].materials))

    rows = documents["stability/scratch"].rows

    assert rows.material_id.tolist() == materials.initial.material_ids.tolist()
