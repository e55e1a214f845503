"""Routes of jobs to workers, also of jobs that are planned at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextrung.makers.alignment import AlignmentMaker
from nextrung.makers.atom_refs import AtomRefMaker
from nextrung.makers.benchmark import BenchmarkMaker
from nextrung.makers.dataset import DatasetMaker
from nextrung.makers.density import DensityMaker
from nextrung.makers.evaluation import EvaluationMaker
from nextrung.makers.fine_tuning import FineTuningMaker, ReReferenceMaker, SourceMaker
from nextrung.makers.improvement.flow import RoundPlanMaker
from nextrung.makers.improvement.labels import LabelAdditionMaker
from nextrung.makers.improvement.pool import PoolMaker
from nextrung.makers.improvement.rounds import RoundMaker
from nextrung.makers.physics import PhysicsMaker
from nextrung.makers.relaxation import MergeMaker, RelaxationMaker, ShardMaker
from nextrung.makers.scaling_law import ScalingLawFitMaker
from nextrung.makers.stability import StabilityMaker
from nextrung.makers.summary import SummaryMaker
from nextrung.schemas.cluster.machine import CPU_CATEGORY
from nextrung.schemas.labels.gpaw import JOB_NAME as GPAW_JOB
from nextrung.schemas.labels.labelling import JOB_NAME as LABEL_JOB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Flow

    from nextrung.makers.jobs.stage_maker import StageMaker
    from nextrung.schemas.cluster.machine import JobRoute, Machine

#: Maker of the jobs of each kind.
MAKERS: Mapping[str, type[StageMaker]] = {
    "dataset": DatasetMaker,
    "source": SourceMaker,
    "atom_refs": AtomRefMaker,
    "alignment": AlignmentMaker,
    "references": ReReferenceMaker,
    "fine_tuning": FineTuningMaker,
    "evaluation": EvaluationMaker,
    "relaxation_plan": RelaxationMaker,
    "relaxation": ShardMaker,
    "relaxation_merge": MergeMaker,
    "stability": StabilityMaker,
    "density": DensityMaker,
    "physics": PhysicsMaker,
    "benchmark": BenchmarkMaker,
    "scaling_law": ScalingLawFitMaker,
    "results": SummaryMaker,
    "candidates": PoolMaker,
    "label_addition": LabelAdditionMaker,
    "round": RoundMaker,
    "round_plan": RoundPlanMaker,
}

#: Prefix of the names of the jobs of each kind.
JOB_NAMES: Mapping[str, str] = {
    **{kind: maker.name for kind, maker in MAKERS.items()},
    "labelling": LABEL_JOB,
    "gpaw_labelling": GPAW_JOB,
}


def kind_of(name: str) -> str | None:
    """Return the kind of a job.

    Parameters
    ----------
    name : str
        Name of the job.

    Returns
    -------
    str or None
        Field of :class:`.JobRoutes`; None for jobs that jobflow adds.
    """
    kinds = (kind for kind, prefix in JOB_NAMES.items() if name.startswith(prefix))
    return next(kinds, None)


def route_flow(flow: Flow, machine: Machine, priority: int | None = None) -> None:
    """Route the jobs of a flow to the workers of a machine file.

    Jobs that are planned at run time are routed too: ``pass_manager_config`` is off,
    with which jobflow overwrites their ``manager_config`` by that of their planner.

    Parameters
    ----------
    flow : Flow
        The flow; its jobs are changed in place.
    machine : Machine
        Route of every kind of job.
    priority : int, optional
        Priority of every job; workers pull jobs of greater priority first.
    """
    ranked = {} if priority is None else {"_priority": priority}
    general = {"_category": machine.route("results").category or CPU_CATEGORY} | ranked
    _update(flow, general)
    for kind, prefix in JOB_NAMES.items():
        wanted = describe_route(machine.route(kind)) | ranked
        if wanted != general:
            _update(flow, wanted, prefix)


def describe_route(route: JobRoute) -> dict[str, Any]:
    """Convert a route to keys of FireWorks.

    Parameters
    ----------
    route : JobRoute
        Category and resources of a job.

    Returns
    -------
    dict
        Keys of a firework spec; ``_queueadapter`` fills the Slurm template.
    """
    asked = {
        "walltime": route.walltime,
        "mem": route.memory,
        "cpus_per_task": route.cpus,
        "gres": f"gpu:{route.gpus}" if route.gpus else None,
    }
    queue = {key: value for key, value in asked.items() if value is not None}
    described: dict[str, Any] = {"_category": route.category}
    return described | ({"_queueadapter": queue} if queue else {})


def _update(flow: Flow, manager: dict[str, Any], name: str = "") -> None:
    """Update the manager config of jobs, also of those planned at run time."""
    config = {"manager_config": manager, "pass_manager_config": False}
    flow.update_config(config, name_filter=name, dynamic=True)
