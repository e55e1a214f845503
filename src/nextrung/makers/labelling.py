"""Jobs that label structures by single-point calculations of atomate2.

The output is a VASP task document of atomate2, with the material in the metadata of the
job. The source ``task_documents`` of a study reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from atomate2.vasp.jobs.base import vasp_job
from atomate2.vasp.jobs.core import HSEStaticMaker
from atomate2.vasp.jobs.matpes import MatPesGGAStaticMaker, MatPesMetaGGAStaticMaker
from atomate2.vasp.jobs.mp import MPGGAStaticMaker, MPMetaGGAStaticMaker

from nextrung.adapters.files.structures import load_structure
from nextrung.makers.jobs.flow import derive_uuid, make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.schemas.base import Artifact
from nextrung.schemas.labels.labelling import JOB_NAME, InputSet, LabelSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from atomate2.vasp.jobs.base import BaseVaspMaker
    from jobflow import Flow, Response

#: atomate2's Maker of each input set.
STATIC_MAKERS: Mapping[InputSet, type[BaseVaspMaker]] = {
    InputSet.MP_PBE: MPGGAStaticMaker,
    InputSet.MP_R2SCAN: MPMetaGGAStaticMaker,
    InputSet.MATPES_PBE: MatPesGGAStaticMaker,
    InputSet.MATPES_R2SCAN: MatPesMetaGGAStaticMaker,
    InputSet.HSE06: HSEStaticMaker,
}


def make_static_maker(settings: LabelSettings) -> BaseVaspMaker:
    """Make atomate2's Maker of a calculation.

    Parameters
    ----------
    settings : LabelSettings
        Input set and changes of it.

    Returns
    -------
    BaseVaspMaker
        Maker of single-point calculations.
    """
    static = STATIC_MAKERS[settings.input_set](**settings.maker)
    static.input_set_generator.user_incar_settings |= settings.incar
    return static


@dataclass(kw_only=True)
class LabelMaker(StageMaker):
    """Label one structure by VASP.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : LabelSettings
        Settings of the calculation.
    """

    algorithm: ClassVar[int] = 1

    name: str = JOB_NAME
    settings: LabelSettings = field(default_factory=LabelSettings)

    @derive_uuid
    @vasp_job
    def make(self, structure: Artifact) -> Response[Any]:
        """Run the calculation where the job runs.

        Parameters
        ----------
        structure : Artifact
            File of the structure; the structure itself is not written into the job.
        """
        loaded = load_structure(Artifact.model_validate(structure))
        static = make_static_maker(self.settings)
        static.task_document_kwargs |= self.task_document_kwargs.model_dump()
        run: Callable[..., Response[Any]] = static.make.original  # type: ignore[attr-defined]
        return run(static, loaded)


@dataclass(kw_only=True)
class LabellingMaker(RecordMaker):
    """Label structures by VASP, one job per structure.

    Parameters
    ----------
    name : str
        Name of the flow.
    settings : LabelSettings
        Settings of the calculation.
    """

    name: str = "label structures"
    settings: LabelSettings = field(default_factory=LabelSettings)

    def make(self, structures: Mapping[str, Artifact]) -> Flow:
        """Make one job per structure; equal structures and settings give equal uuids.

        Parameters
        ----------
        structures : mapping of str to Artifact
            File of each structure, by material_id.

        Returns
        -------
        Flow
            Independent jobs, in the order of the structures.
        """
        maker = LabelMaker(settings=self.settings)
        jobs = {name: maker.make(file) for name, file in structures.items()}
        for name, job in jobs.items():
            job.update_metadata({"material_id": name})
        return make_flow(
            list(jobs.values()), [job.output for job in jobs.values()], self.name
        )
