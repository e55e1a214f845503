from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from fireworks import Firework
from jobflow import JobStore, run_locally
from jobflow.managers.fireworks import job_to_firework
from pymatgen.io.vasp import Incar

from nextrung.adapters.files.structures import store_structure
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.makers.labelling import (
    STATIC_MAKERS,
    LabellingMaker,
    make_static_maker,
)
from nextrung.schemas.labels.labelling import InputSet, LabelSettings

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure

#: Functional that the INCAR of each input set asks for.
TAGS: dict[InputSet, tuple[str, Any]] = {
    InputSet.MP_PBE: ("METAGGA", None),
    InputSet.MP_R2SCAN: ("METAGGA", "R2scan"),
    InputSet.MATPES_PBE: ("METAGGA", None),
    InputSet.MATPES_R2SCAN: ("METAGGA", "R2scan"),
    InputSet.HSE06: ("HFSCREEN", 0.2),
}


@pytest.fixture
def silicon(
    recorded_silicon: Structure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Structure:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path / "run"))
    return recorded_silicon


@pytest.fixture
def settings(vasp_script: Path) -> LabelSettings:
    """No POTCAR is written, and a script is in the place of VASP."""
    return LabelSettings(
        incar={"NCORE": 4},
        maker={
            "write_input_set_kwargs": {"potcar_spec": True},
            "run_vasp_kwargs": {"vasp_cmd": str(vasp_script)},
        },
    )


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return make_embedded_store(tmp_path / "run")


@pytest.mark.filterwarnings("ignore")
def test_a_label_is_a_task_document_that_names_its_material(
    silicon: Structure, settings: LabelSettings, store: JobStore, tmp_path: Path
) -> None:
    files = {"mp-149": store_structure(silicon)}
    flow = LabellingMaker(settings=settings).make(files)
    calculations = tmp_path / "calculations"
    calculations.mkdir()

    run_locally(flow, store=store, create_folders=True, root_dir=calculations)

    (document,) = store.query({"metadata.material_id": "mp-149"})
    assert document["uuid"] == flow.job_uuids[0]
    assert document["output"]["run_type"] == "r2SCAN"
    assert document["output"]["output"]["energy"] == pytest.approx(-17.5496, abs=1e-4)
    (folder,) = calculations.iterdir()
    incar = Incar.from_str(gzip.decompress((folder / "INCAR.gz").read_bytes()).decode())
    assert (incar["METAGGA"], incar["NCORE"], incar["NSW"]) == ("R2scan", 4, 0)


def test_a_job_is_named_by_its_structure_and_settings(silicon: Structure) -> None:
    one, two = store_structure(silicon), store_structure(silicon.copy() * (2, 1, 1))
    maker = LabellingMaker()
    both = maker.make({"a": one, "b": two}).job_uuids
    assert maker.make({"c": two}).job_uuids == both[1:]
    other = LabellingMaker(settings=LabelSettings(input_set=InputSet.HSE06))
    assert set(other.make({"a": one}).job_uuids).isdisjoint(both)


def test_fireworks_carries_the_settings_and_no_structure(
    silicon: Structure, settings: LabelSettings, store: JobStore
) -> None:
    flow = LabellingMaker(settings=settings).make({"a": store_structure(silicon)})
    firework = job_to_firework(flow.jobs[0], store)
    spec = json.dumps(Firework.from_dict(firework.to_dict()).to_dict())
    assert "Lattice" not in spec
    carried = Firework.from_dict(json.loads(spec)).tasks[0]["job"]
    assert carried.maker.settings == settings


@pytest.mark.parametrize("input_set", InputSet)
@pytest.mark.filterwarnings("ignore")
def test_input_sets_are_single_points_of_their_functional(
    input_set: InputSet, silicon: Structure
) -> None:
    static = make_static_maker(LabelSettings(input_set=input_set))
    assert type(static) is STATIC_MAKERS[input_set]
    inputs = static.input_set_generator.get_input_set(silicon, potcar_spec=True)
    tag, value = TAGS[input_set]
    assert inputs["INCAR"].get(tag) == value
    assert inputs["INCAR"].get("NSW", 0) == 0
