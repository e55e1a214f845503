"""Jobs that label the structures of a round and add them to the training split."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jobflow import CURRENT_JOB

from nextrung.adapters.curation.joined_dataset import join_labels
from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_frames
from nextrung.adapters.files.structures import store_structure
from nextrung.adapters.sources.gpaw_documents import read_gpaw_document
from nextrung.adapters.sources.vasp.tasks import read_task
from nextrung.compute.curation.joined_labels import validate_same_labels
from nextrung.makers.gpaw_labelling import GpawLabellingMaker
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.makers.labelling import LabellingMaker
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import Artifact
from nextrung.schemas.improvement import (
    GpawLabels,
    LabelAdditionSettings,
    LabelledDatasetDoc,
    PotentialLabels,
    VaspLabels,
)
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.identity import LabelIdentity
from nextrung.schemas.labels.labelling import FUNCTIONALS
from nextrung.schemas.labels.sources import TaskType
from nextrung.schemas.labels.trajectory import Trajectory
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Flow

    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.improvement import LabelEngine

#: Labels of structures, or why they have none, by frame id.
Labels = dict[str, Trajectory | Rejection]


@dataclass(kw_only=True)
class LabelAdditionMaker(StageMaker):
    """Add the labels of a round to the training split of a data set.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : LabelAdditionSettings
        What labels the structures, and the rules that labels must satisfy.
    """

    algorithm: ClassVar[int] = 1

    name: str = "add labels"
    settings: LabelAdditionSettings = field(default_factory=LabelAdditionSettings)

    @task_job(output_schema=LabelledDatasetDoc, load=False)
    def make(
        self, dataset: DatasetDoc, batch: Artifact, calculations: dict[str, str]
    ) -> LabelledDatasetDoc:
        """Label structures by a potential, or read their calculations; add them.

        Parameters
        ----------
        dataset : DatasetDoc
            Data set of the round before.
        batch : Artifact
            Structures of the round, Parquet.
        calculations : dict of str to str
            Job uuid of the calculation of each structure, by frame id; empty where a
            potential labels them.
        """
        structures = read_frames(artifact_path(Artifact.model_validate(batch)))
        engine = self.settings.engine
        if isinstance(engine, PotentialLabels):
            validate_same_labels(
                self.settings.dataset, dataset.identity, describe_engine(engine)
            )
            functional = self.settings.dataset.curation.functional
            found = _predict(structures, engine.potential, functional)
        else:
            found = {
                name: _read_calculation(engine, name, uuid)
                for name, uuid in calculations.items()
            }
            for run in found.values():
                if isinstance(run, Trajectory) and run.identity is not None:
                    validate_same_labels(
                        self.settings.dataset, dataset.identity, run.identity
                    )
        return LabelledDatasetDoc(
            addition=self.settings,
            provenance=provenance(),
            **join_labels(
                dataset,
                self.settings.dataset,
                found,
                material_ids=_name_materials(structures),
            ),
        )


def describe_engine(engine: LabelEngine) -> LabelIdentity:
    """Describe the labels of an engine, as far as its settings tell.

    Parameters
    ----------
    engine : LabelEngine
        What labels structures.
    """
    match engine:
        case GpawLabels():
            settings = engine.calculation
            return LabelIdentity(
                code="GPAW",
                functional=settings.functional,
                plane_wave_cutoff=settings.plane_wave_cutoff,
                smearing=f"{settings.smearing} {settings.smearing_width:g}",
            )
        case VaspLabels():
            functional = FUNCTIONALS[engine.calculation.input_set]
            return LabelIdentity(code="VASP", functional=functional)
        case PotentialLabels():
            potential = load_potential(engine.potential, "cpu")
            return LabelIdentity(code=engine.potential, functional=potential.functional)


def store_structures(engine: LabelEngine, batch: Artifact) -> dict[str, Artifact]:
    """Store the structures of a round for the jobs that calculate them.

    Parameters
    ----------
    engine : LabelEngine
        What labels structures.
    batch : Artifact
        Structures of the round, Parquet.

    Returns
    -------
    dict of str to Artifact
        File of each structure, by frame id; none for a potential, which labels all in
        one job.
    """
    if isinstance(engine, PotentialLabels):
        return {}
    frames = read_frames(artifact_path(batch))
    named = zip(frames.frame_ids.tolist(), frames.to_structures(), strict=True)
    return {name: store_structure(structure) for name, structure in named}


def make_calculations(
    engine: GpawLabels | VaspLabels,
    files: Mapping[str, Artifact],
    material_ids: Mapping[str, str] | None = None,
) -> Flow:
    """Make one job per structure; equal structures and settings give equal uuids.

    Parameters
    ----------
    engine : GpawLabels or VaspLabels
        Code that labels structures.
    files : mapping of str to Artifact
        File of each structure, by frame id.
    material_ids : mapping of str to str, optional
        Material of each structure, for the metadata of the jobs.
    """
    if isinstance(engine, GpawLabels):
        maker = GpawLabellingMaker(settings=engine.calculation)
        return maker.make(files, material_ids)
    return LabellingMaker(settings=engine.calculation).make(files)


def _name_materials(structures: Frames) -> dict[str, str]:
    """Return the material of each structure, by frame id."""
    names = structures.frame_ids.tolist()
    return dict(zip(names, structures.material_ids.tolist(), strict=True))


def _predict(structures: Frames, name: str, functional: str) -> Labels:
    """Label structures by a potential of the functional of the data set."""
    potential = load_potential(name, MachineSettings().device)
    labelled, errors = potential.predict_frames(structures)
    labelled = replace(labelled, functional=functional)
    identity = LabelIdentity(code=name, functional=functional)
    return {
        str(structures.frame_ids[index]): _reject(
            structures.frame_ids[index], errors[index]
        )
        if index in errors
        else Trajectory(
            frames=labelled[[index]], converged=np.array([True]), identity=identity
        )
        for index in range(len(structures))
    }


def _read_calculation(
    engine: GpawLabels | VaspLabels, name: str, uuid: str
) -> Trajectory | Rejection:
    """Read the calculation of one structure; a missing document is a failure."""
    document: Mapping[str, Any] | None = CURRENT_JOB.store.query_one(
        {"uuid": uuid}, sort={"index": -1}, load=True
    )
    if document is None:
        return _reject(name, f"job {uuid} has stored no calculation")
    if isinstance(engine, GpawLabels):
        return read_gpaw_document(document, name)
    output = document.get("output") or {}
    read = read_task(output, name, name, task_types=tuple(TaskType))
    return read if isinstance(read, Rejection) else read.runs[-1]


def _reject(name: str, reason: str) -> Rejection:
    """Reject a structure whose label failed."""
    return Rejection(
        frame_id=str(name),
        material_id=str(name),
        rule=Rule.FAILED_LABELLING,
        reason=reason,
    )
