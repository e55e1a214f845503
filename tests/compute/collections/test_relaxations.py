from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from tests.made_up_study import make_artifact, make_provenance

from nextrung.compute.collections import (
    Outcome,
    describe_materials,
    list_relaxations,
)
from nextrung.schemas.frames import Frames
from nextrung.schemas.relaxation import (
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
    ShardDoc,
    ShardPlan,
)

if TYPE_CHECKING:
    from nextrung.schemas.stores.collections import RelaxationRow

ORIGIN = dict.fromkeys(("study", "job_uuid", "fingerprint", "completed_at"), "x")


@pytest.fixture
def initial() -> Frames:
    rocksalt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    frames = Frames.from_structures([rocksalt], ["m-1"])
    return replace(frames, splits=np.array(["test"]))


def rows_of(initial: Frames, outcome: Outcome) -> list[RelaxationRow]:
    shard = ShardDoc(
        plan=ShardPlan(
            model="scratch",
            checkpoint=make_artifact("c"),
            materials=make_artifact("m"),
            shard=3,
            n_shards=4,
            parents={},
        ),
        settings=RelaxationSettings(),
        n_materials=1,
        records=make_artifact("relaxations/r"),
        provenance=make_provenance("shard"),
    )
    materials = describe_materials(initial)
    return list_relaxations(shard, [outcome], materials=materials, origin=ORIGIN)


def test_energies_and_volumes_are_per_atom(initial: Frames) -> None:
    record = RelaxationRecord(
        status=RelaxationStatus.CONVERGED,
        energy=-48.0,
        initial_energy=-40.0,
        structure=None,
        n_steps=7,
        fmax=0.05,
    )
    (row,) = rows_of(initial, Outcome("m-1", record, 80.0))

    assert (row.energy_per_atom, row.initial_energy_per_atom) == (-6.0, -5.0)
    assert row.volume_per_atom == 10.0
    assert row.initial_volume_per_atom == pytest.approx(4.2**3 / 8)
    assert (row.formula, row.elements, row.n_atoms) == ("MgO", ("Mg", "O"), 8)
    assert (row.chemical_system, row.split, row.shard) == ("Mg-O", "test", 3)
    assert not row.failed


def test_a_failed_relaxation_is_a_row_with_its_reason(initial: Frames) -> None:
    record = RelaxationRecord(
        status=RelaxationStatus.NON_FINITE,
        energy=None,
        structure=None,
        n_steps=2,
        error="the energy is not finite",
    )
    (row,) = rows_of(initial, Outcome("m-1", record, None))

    assert row.failed
    assert row.error == "the energy is not finite"
    assert row.energy_per_atom is row.volume_per_atom is None
