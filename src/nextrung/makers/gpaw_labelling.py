"""Jobs that label structures by GPAW.

The output is a task document of atomate2's calculators of ASE, with the material in the
metadata of the job. The source ``gpaw_documents`` of a study reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from atomate2.ase.schemas import (
    AseResult,
    AseStructureTaskDoc,
    AseTaskDoc,
    InputDoc,
    OutputDoc,
)
from emmet.core.types.enums import TaskState
from jobflow import CURRENT_JOB, job
from pydantic import Field
from pymatgen.core import Structure
from pymatgen.core.trajectory import Trajectory

from nextrung.adapters.files.structures import load_structure
from nextrung.adapters.gpaw.calculation import GpawError, GpawRun, run_gpaw
from nextrung.makers.jobs.flow import derive_uuid, make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.jobs.termination import raise_on_sigterm
from nextrung.schemas.base import Artifact
from nextrung.schemas.labels.gpaw import JOB_NAME, GpawCalculation, GpawSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Flow

#: Program that ASE calls, in task documents.
CALCULATOR = "GPAW"


class GpawTaskDoc(AseStructureTaskDoc):
    """Task document of atomate2, with how GPAW calculated the structure."""

    input: InputDoc | None = Field(  # type: ignore[assignment] # its default is None
        None, description="Initial structure and relaxation; null for a failure."
    )
    output: OutputDoc | None = Field(  # type: ignore[assignment] # its default is None
        None, description="Labels of the ionic steps; null for a failure."
    )
    settings: GpawSettings = Field(description="Settings of the calculation.")
    calculation: GpawCalculation | None = Field(
        None, description="How the structure was calculated; null for a failure."
    )
    error: str | None = Field(
        None, description="Exception or exit code of GPAW; null for a success."
    )


@dataclass(kw_only=True)
class GpawLabelMaker(StageMaker):
    """Label one structure by GPAW.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : GpawSettings
        Settings of the calculation.
    """

    algorithm: ClassVar[int] = 1

    name: str = JOB_NAME
    settings: GpawSettings = field(default_factory=GpawSettings)

    @derive_uuid
    @job(output_schema=GpawTaskDoc)
    def make(self, structure: Artifact) -> GpawTaskDoc:
        """Run the calculation in the folder of the job; a failure is a document too.

        Parameters
        ----------
        structure : Artifact
            File of the structure; the structure itself is not written into the job.
        """
        CURRENT_JOB.job.metadata |= self.task_document_kwargs.additional_fields
        loaded = load_structure(Artifact.model_validate(structure))
        folder = Path.cwd()
        try:
            with raise_on_sigterm():
                run = run_gpaw(loaded, self.settings, folder)
        except GpawError as error:
            return _to_failure(loaded, self.settings, str(error))
        return _to_document(loaded, run)


@dataclass(kw_only=True)
class GpawLabellingMaker(RecordMaker):
    """Label structures by GPAW, one job per structure.

    Parameters
    ----------
    name : str
        Name of the flow.
    settings : GpawSettings
        Settings of the calculations.
    """

    name: str = "label structures by GPAW"
    settings: GpawSettings = field(default_factory=GpawSettings)

    def make(
        self,
        structures: Mapping[str, Artifact],
        material_ids: Mapping[str, str] | None = None,
    ) -> Flow:
        """Make one job per structure; equal structures and settings give equal uuids.

        Parameters
        ----------
        structures : mapping of str to Artifact
            File of each structure, by frame_id.
        material_ids : mapping of str to str, optional
            Material of each frame; by default each is a material of its own.

        Returns
        -------
        Flow
            Independent jobs, in the order of the structures.
        """
        maker = GpawLabelMaker(settings=self.settings)
        jobs = {name: maker.make(file) for name, file in structures.items()}
        for name, made in jobs.items():
            material_id = (material_ids or {}).get(name, name)
            made.update_metadata({"frame_id": name, "material_id": material_id})
        return make_flow(
            list(jobs.values()), [made.output for made in jobs.values()], self.name
        )


def _to_document(structure: Structure, run: GpawRun) -> GpawTaskDoc:
    """Convert a calculation to a task document of atomate2."""
    settings = run.calculation.settings
    frames = [
        Structure(
            step["cell"],
            structure.species,
            step["positions"],
            coords_are_cartesian=True,
        )
        for step in run.steps
    ]
    labels = ("energy", "forces", "stress", "magmoms")
    known = [
        {key: step[key] for key in labels if step[key] is not None}
        for step in run.steps
    ]
    result = AseResult(
        final_mol_or_struct=frames[-1],
        final_energy=known[-1]["energy"],
        trajectory=Trajectory.from_structures(
            frames, frame_properties=known, constant_lattice=False
        ),
        converged=run.relaxed is not False,
        is_force_converged=run.relaxed,
        energy_downhill=known[-1]["energy"] <= known[0]["energy"],
        dir_name=str(Path.cwd()),
        elapsed_time=run.seconds,
    )
    relaxation = settings.relaxation
    summary = AseTaskDoc.from_ase_compatible_result(
        CALCULATOR,
        result,
        steps=1 if relaxation is None else relaxation.max_steps + 1,
        relax_kwargs={} if relaxation is None else {"fmax": relaxation.fmax},
        relax_cell=relaxation is not None,
        fix_symmetry=relaxation is not None,
        ionic_step_data=("energy", "forces", "magmoms", "stress", "mol_or_struct"),
    )
    document = GpawTaskDoc.from_ase_task_doc(
        summary, settings=settings, calculation=run.calculation
    )
    return cast("GpawTaskDoc", document)


def _to_failure(
    structure: Structure, settings: GpawSettings, error: str
) -> GpawTaskDoc:
    """Describe a calculation that GPAW could not finish."""
    document: GpawTaskDoc = GpawTaskDoc.from_structure(
        meta_structure=structure,
        structure=structure,
        ase_calculator_name=CALCULATOR,
        dir_name=str(Path.cwd()),
        state=TaskState.FAILED,
        settings=settings,
        error=error,
    )
    return document
