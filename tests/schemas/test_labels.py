from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from pymatgen.core import Lattice, Structure

from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import (
    MPTRJ_TOLERANCES,
    CorrectionScheme,
    CurationSettings,
    Rejection,
    Rule,
)
from nextrung.schemas.labels.materials import Materials
from nextrung.schemas.labels.sources import (
    DistilledSource,
    MaterialsProjectSource,
    TaskDocumentsSource,
    VaspSource,
)
from nextrung.schemas.labels.trajectory import Trajectory


def test_environment_variables_are_stored_as_they_were_written() -> None:
    source = VaspSource(paths=("$NEXTRUNG_DATA/runs",))

    assert source.model_dump()["paths"] == ("$NEXTRUNG_DATA/runs",)


def test_unknown_keys_are_rejected() -> None:
    with pytest.raises(ValidationError, match="globs"):
        TypeAdapter(VaspSource).validate_python({"paths": ["a"], "globs": "*"})


def test_generated_crystals_have_elements_that_potentials_cover() -> None:
    with pytest.raises(ValidationError, match="elements up to Pu, got 'Am'"):
        DistilledSource(chemical_systems=("Li-Am",))


@pytest.mark.parametrize("settings", [{}, {"paths": ["a.json"], "store": "store.yaml"}])
def test_task_documents_are_in_files_or_in_a_store(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="expected either `paths` or `store`"):
        TaskDocumentsSource.model_validate(settings)


def test_a_query_is_for_a_store() -> None:
    with pytest.raises(ValidationError, match="expected a `store` to query, got files"):
        TaskDocumentsSource(paths=("a.json",), query={"nsites": 2})


@pytest.mark.parametrize(
    "store", ["mongodb://me:secret@host/db", "type: MongoStore\npassword: secret"]
)
def test_a_study_contains_no_credentials(store: str) -> None:
    """The error message does not repeat the value."""
    with pytest.raises(ValidationError, match="expected the path of a file") as caught:
        TaskDocumentsSource(store=store)

    assert "secret" not in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "settings", [{}, {"chemical_systems": ["Li-O"], "material_ids": ["mp-1"]}]
)
def test_materials_are_selected_in_exactly_one_way(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="either `chemical_systems` or `material"):
        MaterialsProjectSource.model_validate(settings)


def test_a_url_contains_no_password() -> None:
    with pytest.raises(ValidationError, match="endpoint"):
        MaterialsProjectSource(material_ids=("a",), endpoint="https://me:pw@host")


def test_tolerances_of_duplicates_grow_with_the_number_of_accepted_frames() -> None:
    steps = [level.more_than for level in MPTRJ_TOLERANCES]
    for name in ("energy", "length", "site", "angle"):
        values = [getattr(level, name) for level in MPTRJ_TOLERANCES]
        assert values == sorted(values)
    assert steps == [-1, 10, 30, 50]


def test_corrections_require_the_functional_they_were_fitted_for() -> None:
    with pytest.raises(ValidationError, match="expected PBE to correct, got r2SCAN"):
        CurationSettings(corrections=CorrectionScheme.MP2020)


def test_every_frame_of_a_run_is_rejected_for_its_reason() -> None:
    cell = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])
    frames = Frames.from_structures([cell] * 2, ["a", "b"])

    rejections = Rejection.of(frames, Rule.DUPLICATE, "seen")

    assert [r.frame_id for r in rejections] == ["a", "b"]
    assert {(r.rule, r.reason) for r in rejections} == {(Rule.DUPLICATE, "seen")}


def test_materials_are_counted_whether_or_not_they_have_an_energy() -> None:
    crystal = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])
    initial = Frames.from_structures([crystal, crystal], ["known", "unknown"])

    assert len(Materials(initial=initial, energies=np.array([-3.0, np.nan]))) == 2


def test_a_trajectory_is_named_after_its_material() -> None:
    frames = Frames.from_structures(
        [Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])], ["mp-1"]
    )

    trajectory = Trajectory(frames, np.array([True]), 0.0, np.nan, -3.0)

    assert trajectory.material_id == "mp-1"
