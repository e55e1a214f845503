"""What the provenance of a result says is enough to make it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobflow import Flow, run_locally

from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.provenance import trace_provenance
from nextrung.adapters.stores.study_jobs import list_study_jobs, select_current
from nextrung.makers.atom_refs import AtomRefMaker
from nextrung.makers.dataset import DatasetMaker
from nextrung.makers.fine_tuning import FineTuningMaker, SourceMaker
from nextrung.makers.relaxation import RelaxationMaker
from nextrung.makers.stability import StabilityMaker
from nextrung.schemas.atom_refs import AtomRefSettings
from nextrung.schemas.dataset import DatasetSettings
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import RelaxationSettings
from nextrung.schemas.stability import StabilitySettings
from nextrung.schemas.study import StudyRelaxationSettings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from jobflow import JobStore

    from nextrung.schemas.stores.provenance import ProvenanceGraph, ProvenanceNode


def nodes(lineage: ProvenanceGraph) -> dict[str, ProvenanceNode]:
    """The documents of a chain, by class; shards and models by the last of them."""
    return {each.document: each for each in lineage.nodes.values()}


def rerun(lineage: ProvenanceGraph) -> Flow:
    """Wire the jobs of a chain anew, with nothing but what the chain says."""
    found = nodes(lineage)
    settings: dict[str, Any] = {name: each.settings for name, each in found.items()}
    models = [
        each for each in lineage.nodes.values() if each.document == "FineTuningDoc"
    ]
    source, trained = sorted(models, key=lambda each: each.settings is not None)
    assert trained.settings is not None
    shards = [e for e in lineage.nodes.values() if e.document == "ShardDoc"]
    n_materials = int(found["DatasetDoc"].facts["n_materials"])

    dataset = DatasetMaker(
        settings=DatasetSettings.model_validate(settings["DatasetDoc"])
    ).make()
    loaded = SourceMaker(potential=str(source.facts["source"])).make()
    references = AtomRefMaker(
        settings=AtomRefSettings.model_validate(settings["AtomRefDoc"])
    ).make(dataset.output, loaded.output)
    model = FineTuningMaker(
        model=Model(str(trained.model)),
        settings=FineTuningSettings.model_validate(trained.settings),
    ).make(dataset.output, loaded.output, references.output)
    campaign = StudyRelaxationSettings(
        **RelaxationSettings.model_validate(settings["ShardDoc"]).model_dump(),
        materials_per_shard=-(-n_materials // len(shards)),
    )
    relaxed = RelaxationMaker(settings=campaign).make(dataset.output, model.output)
    scored = StabilityMaker(
        settings=StabilitySettings.model_validate(settings["StabilityDoc"])
    ).make(dataset.output, relaxed.output)
    return Flow([dataset, loaded, references, model, relaxed, scored])


def test_settings_of_a_chain_give_its_fingerprints_again(
    finished_store: JobStore,
    job_store: JobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build_collections(finished_store)
    (hull,) = (
        member.uuid
        for member in select_current(list_study_jobs(finished_store), "StabilityDoc")
        if member.part == "stability/scratch"
    )
    lineage = trace_provenance(finished_store, hull)
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))

    run_locally(rerun(lineage), store=job_store, log=False, raise_immediately=True)

    again = {
        document["output"]["provenance"]["fingerprint"]
        for document in job_store.query({"output.provenance": {"$exists": True}})
    }
    assert again == set(lineage.nodes)
    assert lineage.missing == ()
