"""Every Maker of the package keeps the contract of jobflow's Makers."""

from __future__ import annotations

import importlib
import json
import pkgutil
import shutil
from dataclasses import dataclass, field, fields, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pytest
from atomate2.common.powerups import add_metadata_to_flow
from atomate2.vasp.jobs.base import BaseVaspMaker
from fireworks import Firework
from jobflow import Flow, Job, Maker, OutputReference, run_locally
from jobflow.core.flow import get_flow
from jobflow.managers.fireworks import flow_to_workflow, job_to_firework
from monty.json import MontyDecoder, MontyEncoder, jsanitize
from tests.compute.test_improvement import make_round

from nextrung import makers
from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.structures import store_structure
from nextrung.adapters.stores.studies import load_study
from nextrung.makers.alignment import AlignmentMaker
from nextrung.makers.atom_refs import AtomRefMaker
from nextrung.makers.benchmark import BenchmarkMaker
from nextrung.makers.dataset import DatasetMaker, FramesFileMaker
from nextrung.makers.density import DensityMaker
from nextrung.makers.evaluation import EvaluationMaker
from nextrung.makers.fine_tuning import (
    FineTuningMaker,
    FinishedMaker,
    ReReferenceMaker,
    SourceMaker,
)
from nextrung.makers.gpaw_labelling import GpawLabellingMaker, GpawLabelMaker
from nextrung.makers.improvement.flow import ImprovementMaker, RoundPlanMaker
from nextrung.makers.improvement.labels import LabelAdditionMaker
from nextrung.makers.improvement.pool import PoolMaker
from nextrung.makers.improvement.rounds import RoundMaker
from nextrung.makers.jobs.fingerprints import identify
from nextrung.makers.jobs.flow import TaskFlow, TaskJob
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.labelling import LabellingMaker, LabelMaker
from nextrung.makers.physics import PhysicsMaker
from nextrung.makers.preflight import PreflightMaker, TrialMaker
from nextrung.makers.recipes.comparison import RecipeComparisonMaker
from nextrung.makers.recipes.summary import RecipeSummaryMaker
from nextrung.makers.relaxation import MergeMaker, RelaxationMaker, ShardMaker
from nextrung.makers.scaling_law import ScalingLawFitMaker, ScalingLawMaker
from nextrung.makers.stability import StabilityMaker
from nextrung.makers.study import StudyMaker
from nextrung.makers.summary import SummaryMaker
from nextrung.schemas.base import Artifact, InputError, Provenance
from nextrung.schemas.benchmark import BenchmarkSettings
from nextrung.schemas.dataset import SplitSettings
from nextrung.schemas.improvement import (
    ImprovementDoc,
    ImprovementSettings,
    LabelAdditionSettings,
    PoolDoc,
    PotentialLabels,
)
from nextrung.schemas.labels.labelling import LabelSettings
from nextrung.schemas.models import Model, Rereference
from nextrung.schemas.preflight import PreflightSettings
from nextrung.schemas.recipe_comparison import RecipeComparisonSettings
from nextrung.schemas.relaxation import ShardPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobflow import JobStore
    from pymatgen.core import Structure

    from nextrung.schemas.study import StudySettings

LOOP = ImprovementSettings(
    engine=PotentialLabels(),
    budget=1,
    batch=1,
    target=1e-9,
    model=Model.SOURCE_RESIDUAL,
)
FILE = Artifact(path="a", sha256="0" * 64, size=1)
PLAN = ShardPlan(
    model=Model.SOURCE, checkpoint=FILE, materials=FILE, shard=0, n_shards=1, parents={}
)


@dataclass
class Context:
    """A study, and the jobs whose documents are inputs."""

    settings: Any  # of the study
    uuids: dict[str, str]
    shards: list[str]
    plan: ShardPlan = PLAN
    structure: Artifact = FILE
    labels: LabelSettings = field(default_factory=LabelSettings)
    frames_file: str = "frames.parquet"
    study: str = "uuid-of-study"
    pool: Artifact = FILE

    def output(self, part: str) -> OutputReference:
        """The document of a part of the study."""
        return OutputReference(self.uuids[part])

    def atom_refs(self) -> dict[str, OutputReference]:
        """Moved reference energies, by how they were moved."""
        kinds = (Rereference.REFIT, Rereference.RESIDUAL)
        return {kind.value: self.output(f"atom_refs/{kind}") for kind in kinds}


@dataclass
class Example:
    """How to make a Maker, its inputs by name, and a change of its settings."""

    maker: Callable[[Context], RecordMaker]
    inputs: Callable[[Context], dict[str, Any]]
    change: dict[str, Any]


def no_inputs(_: Context) -> dict[str, Any]:
    return {}


def dataset_and_model(it: Context) -> dict[str, Any]:
    return {
        "dataset": it.output("dataset"),
        "model": it.output("fine_tuning/source"),
    }


def dataset_and_source(it: Context) -> dict[str, Any]:
    return {
        "dataset": it.output("dataset"),
        "source": it.output("fine_tuning/source"),
    }


EXAMPLES: dict[type[Maker], Example] = {
    DatasetMaker: Example(
        lambda it: DatasetMaker(settings=it.settings.dataset),
        no_inputs,
        {"split": {"val": 0.3}},
    ),
    FramesFileMaker: Example(
        lambda it: FramesFileMaker(path=it.frames_file),
        no_inputs,
        {"path": "other.parquet"},
    ),
    SourceMaker: Example(
        lambda it: SourceMaker(potential=it.settings.source),
        no_inputs,
        {"potential": "chgnet-r2scan"},
    ),
    FinishedMaker: Example(
        lambda _: FinishedMaker(), no_inputs, {"potential": "chgnet-0.3.0"}
    ),
    AtomRefMaker: Example(
        lambda _: AtomRefMaker(), dataset_and_source, {"kind": "residual"}
    ),
    AlignmentMaker: Example(
        lambda _: AlignmentMaker(),
        lambda it: dataset_and_source(it) | {"atom_refs": it.atom_refs()},
        {"target_references": "chgnet-r2scan"},
    ),
    ReReferenceMaker: Example(
        lambda _: ReReferenceMaker(),
        lambda it: dataset_and_source(it) | {"atom_refs": it.output("atom_refs/refit")},
        {"model": "source_residual"},
    ),
    FineTuningMaker: Example(
        lambda it: FineTuningMaker(settings=it.settings.training),
        lambda it: dataset_and_source(it) | {"atom_refs": it.output("atom_refs/refit")},
        {"loss_weights": {"energy": 5.0}},
    ),
    EvaluationMaker: Example(
        lambda _: EvaluationMaker(), dataset_and_model, {"splits": ["test"]}
    ),
    RelaxationMaker: Example(
        lambda it: RelaxationMaker(settings=it.settings.relaxation),
        dataset_and_model,
        {"materials_per_shard": 3},
    ),
    ShardMaker: Example(
        lambda it: ShardMaker(settings=it.settings.relaxation.of_each),
        lambda it: {"plan": it.plan},
        {"max_steps": 3},
    ),
    MergeMaker: Example(
        lambda _: MergeMaker(),
        lambda it: {"shards": [OutputReference(uuid) for uuid in it.shards]},
        {},
    ),
    StabilityMaker: Example(
        lambda it: StabilityMaker(settings=it.settings.stability),
        lambda it: {
            "dataset": it.output("dataset"),
            "relaxation": it.output("relaxation/source"),
        },
        {"competitors": "self"},
    ),
    DensityMaker: Example(
        lambda it: DensityMaker(settings=it.settings.density),
        lambda it: {"model": it.output("fine_tuning/source")},
        {"relaxation": {"max_steps": 3}},
    ),
    PhysicsMaker: Example(
        lambda it: PhysicsMaker(settings=it.settings.physics),
        lambda it: {
            "model": it.output("fine_tuning/source_residual"),
            "source": it.output("fine_tuning/source"),
            "dataset": it.output("dataset"),
            "relaxation": it.output("relaxation/source_residual"),
        },
        {"equation_of_state": {"n_volumes": 6}},
    ),
    BenchmarkMaker: Example(
        lambda it: BenchmarkMaker(
            settings=BenchmarkSettings(
                crystals=("MgO rocksalt",), relaxation=it.settings.density.relaxation
            )
        ),
        lambda it: {"dataset": it.output("dataset")},
        {"molecule_box": 12.0},
    ),
    ScalingLawFitMaker: Example(
        lambda it: ScalingLawFitMaker(settings=it.settings.scaling_law),
        lambda it: {
            "models": [it.output("fine_tuning/source")],
            "evaluations": [it.output("evaluation/source")],
        },
        {"n_repeats": 2},
    ),
    ScalingLawMaker: Example(
        lambda it: ScalingLawMaker(
            settings=it.settings.scaling_law, training=it.settings.training
        ),
        lambda it: (
            dataset_and_source(it)
            | {
                "atom_refs": {Rereference.NONE: None, **it.atom_refs()},
                "untrained": it.output("fine_tuning/source_refit"),
            }
        ),
        {"seed": 3},
    ),
    SummaryMaker: Example(
        lambda it: SummaryMaker(settings=it.settings),
        lambda it: {
            "parts": {part: it.output(part) for part in it.uuids},
            "jobs": it.uuids,
        },
        {"dataset": {"split": {"val": 0.3}}},
    ),
    StudyMaker: Example(
        lambda it: StudyMaker(it.settings),
        no_inputs,
        {"evaluation": {"splits": ["test"]}},
    ),
    RecipeSummaryMaker: Example(
        lambda _: RecipeSummaryMaker(),
        lambda it: {
            "study": OutputReference(it.study),
            "models": {
                part: it.output(part)
                for part in (f"fine_tuning/{model}" for model in it.settings.models)
            },
        },
        {"folds": 3},
    ),
    RecipeComparisonMaker: Example(
        lambda it: RecipeComparisonMaker(
            it.settings.model_copy(
                update={"models": (Model.SOURCE, Model.SOURCE_RESIDUAL)}
            ),
            settings=RecipeComparisonSettings(folds=3),
        ),
        no_inputs,
        {"folds": 4},
    ),
    TrialMaker: Example(
        lambda it: TrialMaker(
            settings=PreflightSettings(epochs=1), training=it.settings.training
        ),
        dataset_and_source,
        {"epochs": 2},
    ),
    PreflightMaker: Example(
        lambda it: PreflightMaker(it.settings), no_inputs, {"preflight": {"epochs": 1}}
    ),
    PoolMaker: Example(
        lambda it: PoolMaker(settings=it.settings.dataset.split),
        lambda it: {"pool": it.pool, "dataset": it.output("dataset")},
        {"same_crystal": {"site": 0.2}},
    ),
    LabelAdditionMaker: Example(
        lambda it: LabelAdditionMaker(
            settings=LabelAdditionSettings(
                engine=PotentialLabels(), dataset=it.settings.dataset
            )
        ),
        lambda it: {
            "dataset": it.output("dataset"),
            "batch": it.pool,
            "calculations": {},
        },
        {"dataset": {"split": {"val": 0.3}}},
    ),
    RoundMaker: Example(
        lambda _: RoundMaker(settings=LOOP),
        lambda it: {
            "pool": it.output("pool"),
            "dataset": it.output("dataset"),
            "models": [it.output("fine_tuning/source_residual")],
            "evaluations": [it.output("evaluation/source_residual")],
            "previous": None,
        },
        {"budget": 9},
    ),
    RoundPlanMaker: Example(
        lambda it: RoundPlanMaker(settings=LOOP, study=it.settings),
        lambda it: {
            "improvement": it.output("improvement"),
            "dataset": it.output("dataset"),
            "source": it.output("fine_tuning/source"),
            "pool": it.output("pool"),
        },
        {"budget": 9},
    ),
    ImprovementMaker: Example(
        lambda it: ImprovementMaker(settings=LOOP, study=it.settings),
        lambda it: {"pool": it.pool},
        {"budget": 9},
    ),
    LabelMaker: Example(
        lambda it: LabelMaker(settings=it.labels),
        lambda it: {"structure": it.structure},
        {"incar": {"NCORE": 2}},
    ),
    LabellingMaker: Example(
        lambda it: LabellingMaker(settings=it.labels),
        lambda it: {"structures": {"mp-149": it.structure}},
        {"input_set": "hse06"},
    ),
    GpawLabelMaker: Example(
        lambda _: GpawLabelMaker(),
        lambda it: {"structure": it.structure},
        {"functional": "r2SCAN", "max_scf_steps": 99},
    ),
    GpawLabellingMaker: Example(
        lambda _: GpawLabellingMaker(),
        lambda it: {"structures": {"mp-149": it.structure}},
        {"plane_wave_cutoff": 600.0},
    ),
}


def find_makers() -> set[type[Maker]]:
    """Every Maker that a module of the package defines."""
    found = pkgutil.walk_packages(makers.__path__, f"{makers.__name__}.")
    modules = [importlib.import_module(module.name) for module in found]
    return {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Maker)
        and kind.__module__ == module.__name__
    }


def test_every_maker_has_an_example() -> None:
    assert find_makers() == set(EXAMPLES) | {RecordMaker, StageMaker}


every_maker = pytest.mark.parametrize(
    "kind", EXAMPLES, ids=[kind.__name__ for kind in EXAMPLES]
)


@pytest.fixture
def context(study_settings: StudySettings) -> Context:
    """A study of which nothing has run."""
    per_model = (
        "fine_tuning",
        "evaluation",
        "relaxation",
        "stability",
        "density",
        "physics",
    )
    parts = [
        "dataset",
        "atom_refs/refit",
        "atom_refs/residual",
        "fine_tuning/source_refit",
        *(f"{part}/{model}" for part in per_model for model in study_settings.models),
    ]
    uuids = {part: f"uuid-of-{part}" for part in (*parts, "pool", "improvement")}
    return Context(study_settings, uuids, ["uuid-of-shard"])


@pytest.fixture
def finished_context(
    study_settings: StudySettings,
    finished_store: JobStore,
    recorded_silicon: Structure,
    vasp_script: Path,
    tmp_path: Path,
) -> Context:
    """A study that is finished, and a structure for a script in place of VASP."""
    shards = list(
        finished_store.query(
            {"output.@class": "ShardDoc", "output.plan.model": "source"},
            sort={"output.plan.shard": 1},
        )
    )
    dataset = finished_store.query_one({"output.@class": "DatasetDoc"})
    study = finished_store.query_one({"output.@class": "StudyDoc"})
    assert dataset is not None
    assert study is not None
    uuids = load_study(finished_store).results.jobs
    pool = store_artifact(
        Path(shutil.copy(_frames_of(dataset), tmp_path / "pool.parquet")), "pools"
    )
    return Context(
        study_settings,
        uuids | _store_loop(finished_store, uuids, pool),
        [shard["uuid"] for shard in shards],
        ShardPlan.model_validate(shards[0]["output"]["plan"]),
        store_structure(recorded_silicon),
        LabelSettings(
            maker={
                "write_input_set_kwargs": {"potcar_spec": True},
                "run_vasp_kwargs": {"vasp_cmd": str(vasp_script)},
            }
        ),
        str(_frames_of(dataset)),
        study["uuid"],
        pool,
    )


def _frames_of(dataset: dict[str, Any]) -> Path:
    """The frames file of a stored data set."""
    return artifact_path(Artifact.model_validate(dataset["output"]["frames"]))


def _store_loop(
    store: JobStore, uuids: dict[str, str], pool: Artifact
) -> dict[str, str]:
    """Store the pool of a loop, and a loop that has ended."""
    source = store.get_output(uuids["fine_tuning/source"])
    provenance = Provenance.model_validate(source["provenance"])
    documents: dict[str, Any] = {
        "pool": PoolDoc(
            settings=SplitSettings(),
            n_structures=1,
            n_candidates=1,
            n_held_out=0,
            excluded=[],
            candidates=pool,
            provenance=provenance,
        ),
        "improvement": ImprovementDoc(
            study="small",
            settings=LOOP,
            labels="made up",
            held_out="0",
            rounds=[make_round()],
            n_structures=1,
            n_held_out_structures=0,
            provenance=provenance,
        ),
    }
    for name, document in documents.items():
        output = jsanitize(document, strict=True, enum_values=True)
        store.update({"uuid": f"uuid-of-{name}", "index": 1, "output": output})
    return {name: f"uuid-of-{name}" for name in documents}


#: Makers of documents of atomate2, which hold their metadata themselves.
LABELLING = {LabelMaker, LabellingMaker}


def make(kind: type[Maker], context: Context) -> Job | Flow:
    """Make the job or flow of an example."""
    example = EXAMPLES[kind]
    made: Job | Flow = example.maker(context).make(**example.inputs(context))
    return made


def list_jobs(made: Job | Flow) -> list[Job]:
    """All jobs of a flow."""
    if isinstance(made, Job):
        return [made]
    return [job for member in made.jobs for job in list_jobs(member)]


def maker_of(job: Job) -> Maker:
    """The Maker of a job that has one."""
    assert job.maker is not None
    return job.maker


def change_of(kind: type[Maker]) -> dict[str, Any]:
    """The update of the example, as jobflow takes it."""
    change = EXAMPLES[kind].change
    return {"settings": change} if "settings" in field_names(kind) else change


def field_names(kind: type[Maker]) -> set[str]:
    return {entry.name for entry in fields(kind)}


def merge(values: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Plain values with the named keys changed and all others as before."""
    return values | {
        key: merge(values[key], value) if isinstance(value, dict) else value
        for key, value in change.items()
    }


@every_maker
def test_json_trip_gives_an_equal_maker(kind: type[Maker], context: Context) -> None:
    maker = EXAMPLES[kind].maker(context)

    plain = json.loads(json.dumps(maker.as_dict()))

    assert kind.from_dict(plain) == maker
    assert MontyDecoder().process_decoded(plain) == maker
    assert json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder) == maker


@every_maker
def test_inputs_by_name_and_by_position_make_the_same_job(
    kind: type[Maker], context: Context
) -> None:
    maker, inputs = EXAMPLES[kind].maker(context), EXAMPLES[kind].inputs(context)
    by_name = list_jobs(maker.make(**inputs))
    parameters = signature(kind.make).parameters.values()
    named_alone = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    named = {key: inputs.pop(key) for key in named_alone if key in inputs}
    by_position = list_jobs(maker.make(*inputs.values(), **named))

    for named, placed in zip(by_name, by_position, strict=True):
        assert (named.uuid, named.maker) == (placed.uuid, placed.maker)
        assert list(named.function_kwargs.items()) == list(
            placed.function_kwargs.items()
        )


@every_maker
def test_jobs_keep_name_docstring_and_signature_of_make(kind: type[Maker]) -> None:
    assert kind.make.__name__ == "make"
    assert kind.make.__doc__
    assert not any(
        parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        for parameter in signature(kind.make).parameters.values()
    )


@every_maker
def test_an_update_changes_the_named_settings_alone(
    kind: type[Maker], context: Context
) -> None:
    maker = EXAMPLES[kind].maker(context)
    change = change_of(kind)

    updated = maker.update_kwargs(change)

    wanted = change
    if "settings" in change:
        before = vars(maker)["settings"]
        merged = merge(before.model_dump(), change["settings"])
        wanted = {"settings": type(before).model_validate(merged)}
    assert updated == replace(maker, **wanted)
    if "settings" in change:
        paths = {f"settings->{path}": value for path, value in leaves(change_of(kind))}
        assert maker.update_kwargs({"_set": paths}, dict_mod=True) == updated


def leaves(change: dict[str, Any]) -> list[tuple[str, Any]]:
    """Paths below the settings, in jobflow's notation, and their values."""
    found: list[tuple[str, Any]] = []
    for key, value in change["settings"].items():
        nested = leaves({"settings": value}) if isinstance(value, dict) else []
        found += [(f"{key}->{path}", leaf) for path, leaf in nested] or [(key, value)]
    return found


@every_maker
def test_an_update_of_a_flow_makes_the_jobs_of_the_updated_makers(
    kind: type[Maker], context: Context
) -> None:
    flow = get_flow(make(kind, context), allow_external_references=True)
    before = {job.uuid for job in list_jobs(flow)}
    names = [job.name for job in list_jobs(flow)]

    for updated in {type(maker_of(job)) for job in list_jobs(flow)}:
        flow.update_maker_kwargs(change_of(updated), class_filter=updated)

    jobs = list_jobs(flow)
    assert [job.name for job in jobs] == names
    known = {*before, *context.uuids.values(), *context.shards, context.study}
    assert (before & {job.uuid for job in jobs} == set()) is (kind is not MergeMaker)
    for job in jobs:
        assert isinstance(job, TaskJob)
        assert job.uuid == identify(maker_of(job), list(job.function_kwargs.values()))
        assert set(job.input_uuids) <= {each.uuid for each in jobs} | known - before
        assert flow.uuid in job.hosts


@every_maker
def test_an_unknown_setting_is_an_error_that_names_it(
    kind: type[Maker], context: Context
) -> None:
    maker = EXAMPLES[kind].maker(context)
    with pytest.raises(InputError, match=rf"of {kind.__name__}: .*; got nonsense"):
        maker.update_kwargs({"nonsense": 1})
    if "settings" in field_names(kind):
        with pytest.raises(InputError, match="nonsense: unknown key"):
            maker.update_kwargs({"settings": {"nonsense": 1}})
        with pytest.raises(InputError, match="nonsense: unknown key"):
            maker.update_kwargs({"_set": {"settings->nonsense": 1}}, dict_mod=True)


@every_maker
@pytest.mark.usefixtures("gpaw_script")
@pytest.mark.filterwarnings("ignore")
def test_run_locally_leaves_documents_with_the_metadata_that_atomate2_adds(
    kind: type[Maker],
    finished_context: Context,
    finished_store: JobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    made = make(kind, finished_context)
    flow = get_flow(made, allow_external_references=True)
    add_metadata_to_flow(flow, {"project": "oxides"}, StageMaker)

    run_locally(
        flow,
        log=False,
        store=finished_store,
        ensure_success=True,
        allow_external_references=True,
    )

    for job in list_jobs(made):
        assert finished_store.get_output(job.uuid, load=True)
        stored = finished_store.query_one({"uuid": job.uuid})
        assert stored is not None
        held = stored["output" if kind in LABELLING else "metadata"]
        assert held["project"] == "oxides"


@every_maker
def test_fireworks_gives_the_jobs_back(kind: type[Maker], context: Context) -> None:
    made = make(kind, context)
    jobs = {job.uuid: job for job in list_jobs(made)}

    workflow = flow_to_workflow(made, allow_external_references=True)
    alone = [job_to_firework(job) for job in jobs.values()]

    assert len(workflow.fws) == len(jobs)
    for firework in [*workflow.fws, *alone]:
        stored = json.loads(json.dumps(firework.to_dict(), default=str))
        returned = Firework.from_dict(stored).tasks[0]["job"]
        job = jobs[returned.uuid]
        assert isinstance(returned, TaskJob)
        assert returned.maker == job.maker
        assert returned.function_kwargs == job.function_kwargs


def on_a_line(graph: Any) -> dict[str, tuple[int, int]]:  # noqa: ANN401 - untyped
    """Place the nodes of a graph; jobflow's own layout needs graphviz."""
    return {node: (place, 0) for place, node in enumerate(graph)}


@every_maker
def test_graphs_show_every_job(kind: type[Maker], context: Context) -> None:
    mpl.use("agg")
    made = make(kind, context)
    flow = get_flow(made, allow_external_references=True)

    plot = flow.draw_graph(layout_function=on_a_line)  # type: ignore[no-untyped-call]

    assert plot.gca().texts
    plot.close("all")
    drawn = {node["job"].uuid for node in flow.graph.nodes.values() if "job" in node}
    assert drawn == {job.uuid for job in list_jobs(flow)}


@every_maker
def test_metadata_are_added_to_the_makers_of_the_filter_alone(
    kind: type[Maker], context: Context
) -> None:
    flow = get_flow(make(kind, context), allow_external_references=True)
    uuids, jobs = flow.all_uuids, list_jobs(flow)

    add_metadata_to_flow(flow, {"project": "oxides"}, BaseVaspMaker)
    assert not any(additional_fields(job) for job in jobs)
    chosen = type(maker_of(jobs[0]))
    add_metadata_to_flow(flow, {"project": "oxides"}, chosen)
    for job in jobs:
        expected = {"project": "oxides"} if type(job.maker) is chosen else {}
        assert additional_fields(job) == expected
    assert flow.all_uuids == uuids


def additional_fields(job: Job) -> dict[str, Any]:
    """What the Maker of a job adds to its document."""
    maker = maker_of(job)
    assert isinstance(maker, StageMaker)
    return maker.task_document_kwargs.additional_fields


@every_maker
def test_flows_and_jobs_have_the_uuids_of_what_they_are_made_from(
    kind: type[Maker], context: Context
) -> None:
    made = make(kind, context)
    assert isinstance(made, TaskFlow | TaskJob)
    assert made.uuid == make(kind, context).uuid
