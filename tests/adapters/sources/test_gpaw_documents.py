from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from jobflow import run_locally
from tests.gpaw_calculations import LABELS, RECORDED, make_silicon

from nextrung.adapters.files.structures import store_structure
from nextrung.adapters.sources.gpaw_documents import read_gpaw_documents
from nextrung.adapters.sources.registry import (
    list_source_files,
    name_labels,
    read_labels,
    source_digest,
)
from nextrung.adapters.stores.job_store import close_store, make_embedded_store
from nextrung.compute.curation.identities import IdentityCounter
from nextrung.makers.gpaw_labelling import GpawLabellingMaker
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.gpaw import GpawSettings
from nextrung.schemas.labels.sources import GpawDocumentsSource, RelaxedFrame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def make_document(
    name: str,
    energies: tuple[float, ...] = (-10.0,),
    *,
    relaxed: bool | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A document of silicon as a job store holds it."""
    run = {key: RECORDED[key] for key in RECORDED if key not in {"relaxed", "seconds"}}
    stress = np.diag([5.0, 6.0, 7.0]).tolist()
    step = {
        "mol_or_struct": make_silicon().as_dict(),
        "forces": LABELS["forces"],
        "stress": stress,
        "magmoms": None,
    }
    return {
        "uuid": f"uuid-of-{name}",
        "metadata": {"frame_id": name, "material_id": name.partition("#")[0]},
        "output": {
            "ase_calculator_name": "GPAW",
            "is_force_converged": relaxed,
            "error": None,
            "calculation": run
            | {
                "settings": GpawSettings(**(settings or {})).model_dump(mode="json"),
                "kernel": "PBE",
                "n_scf_steps": [17] * len(energies),
            },
            "output": {"ionic_steps": [step | {"energy": each} for each in energies]},
        },
    }


def read(
    tmp_path: Path,
    *documents: dict[str, Any],
    relaxed_frame: RelaxedFrame = RelaxedFrame.RELAXATION,
) -> list[Any]:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps(documents))
    source = GpawDocumentsSource(paths=(str(path),), relaxed_frame=relaxed_frame)
    return list(read_gpaw_documents(source, lambda _done, _total, _text: None))


def test_labels_are_read_in_our_units_with_their_names(tmp_path: Path) -> None:
    (run,) = read(tmp_path, make_document("a#3", (-10.0, -10.1)))

    assert run.frames.frame_ids.tolist() == ["a#3#0", "a#3#1"]
    assert run.material_id == "a"
    assert run.frames.functional == "PBE"
    assert run.frames.energies.tolist() == [-10.0, -10.1]
    assert run.frames.forces[1].tolist() == LABELS["forces"][1]
    assert np.diag(run.frames.stresses[0]) == pytest.approx([-0.5, -0.6, -0.7])  # GPa
    assert np.isnan(run.frames.magmoms).all()
    assert run.converged.all()


def test_code_functional_and_data_sets_are_the_identity(tmp_path: Path) -> None:
    (run,) = read(tmp_path, make_document("a", settings={"functional": "r2SCAN"}))

    identity = run.identity
    assert (identity.code, identity.version) == ("GPAW", "25.7.0")
    assert identity.functional == run.frames.functional == "r2SCAN"
    assert identity.potentials == {"Si": "Si.PBE"}
    assert identity.potential_hashes["Si"].startswith("md5:ee77")
    assert identity.smearing == "fermi-dirac 0.05"
    # three divisions of the reciprocal vectors of length 2π √3 / a
    assert identity.k_spacing == pytest.approx(2 * np.pi * 3**0.5 / 5.5 / 3, abs=1e-3)


def test_labels_of_gpaw_and_vasp_are_a_mixture(tmp_path: Path) -> None:
    (run,) = read(tmp_path, make_document("a"))
    other = run.identity.model_copy(update={"code": "VASP", "version": "6.4.2"})
    counter = IdentityCounter()
    for each in (run, replace(run, identity=other)):
        counter.add(each)

    mixtures = {each.field: each for each in counter.find_mixtures()}

    values = {each.value for each in mixtures["code"].values}
    assert values == {"GPAW", "VASP"}


def test_relaxed_energies_are_those_of_converged_relaxations(tmp_path: Path) -> None:
    documents = (
        make_document("a#relaxed", (-10.0, -10.4), relaxed=True),
        make_document("a#0", (-10.5,)),
        make_document("b#relaxed", (-10.0, -10.2), relaxed=False),
    )

    runs = read(tmp_path, *documents)
    lowest = read(tmp_path, *documents, relaxed_frame=RelaxedFrame.LOWEST_ENERGY)

    assert [(run.material_id, run.relaxed_energy) for run in runs[:2]] == [
        ("a", -5.2),
        ("a", -5.2),
    ]
    assert runs[1].frames.frame_ids[-1] == "a#relaxed#1"  # the relaxed structure, last
    assert np.isnan(runs[2].relaxed_energy)
    assert [run.relaxed_energy for run in lowest] == [-5.25, -5.25, -5.1]
    assert lowest[1].frames.frame_ids[-1] == "a#0#0"


def test_functionals_have_relaxed_energies_of_their_own(tmp_path: Path) -> None:
    runs = read(
        tmp_path,
        make_document("a", (-10.0,)),
        make_document("a", (-16.0,), settings={"functional": "r2SCAN"}),
        relaxed_frame=RelaxedFrame.LOWEST_ENERGY,
    )
    assert {run.frames.functional: run.relaxed_energy for run in runs} == {
        "PBE": -5.0,
        "r2SCAN": -8.0,
    }


def test_a_failure_is_a_rejection_with_its_error(tmp_path: Path) -> None:
    failed = make_document("a")
    failed["output"] |= {"error": "KohnShamConvergenceError", "calculation": None}
    torn = make_document("b")
    torn["output"]["output"]["ionic_steps"][0]["forces"] = [[0.0]]
    strange = make_document("c")
    strange["output"]["calculation"] = {"version": 1}

    found = read(tmp_path, failed, torn, strange)

    assert all(isinstance(each, Rejection) for each in found)
    assert [(each.material_id, each.rule) for each in found] == [
        ("a", Rule.FAILED_LABELLING),
        ("b", Rule.INCOMPLETE_FILE),
        ("c", Rule.INCOMPLETE_FILE),
    ]
    assert found[0].reason == "KohnShamConvergenceError"
    assert "expected forces as numbers of shape" in found[1].reason
    assert "expected a document of GPAW, got ValidationError" in found[2].reason


@pytest.mark.usefixtures("gpaw_script")
@pytest.mark.filterwarnings("ignore")
def test_a_run_folder_is_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    store = make_embedded_store(tmp_path / "run")
    source = GpawDocumentsSource(paths=(str(tmp_path / "run"),))
    flows = [
        GpawLabellingMaker().make({name: store_structure(make_silicon(a))})
        for name, a in (("a", 5.4), ("b", 5.5))
    ]

    run_locally(flows[0], store=store, log=False)
    before = source_digest(source)
    run_locally(flows[1], store=store, log=False)
    close_store(store)

    frames, rejected, codes = read_labels(source)
    assert frames.material_ids.tolist() == ["a", "b"]
    assert frames.energies.tolist() == [LABELS["energy"]] * 2
    assert rejected == {}
    assert codes == {"GPAW"}
    assert source_digest(source) != before
    assert list_source_files(source) == {}
    assert name_labels(source, "PBE") == "PBE (GPAW)"


def test_a_source_without_documents_is_an_error(tmp_path: Path) -> None:
    close_store(make_embedded_store(tmp_path / "run"))
    source = GpawDocumentsSource(paths=(str(tmp_path / "run"),))
    with pytest.raises(InputError, match="expected documents of GPAW in the source"):
        read_labels(source)
