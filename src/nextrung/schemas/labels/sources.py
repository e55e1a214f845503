"""Settings of the sources of labelled frames."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from nextrung.schemas.base import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Atomic number of plutonium, the heaviest element of the Materials Project's data.
MAX_ATOMIC_NUMBER = 94


class VaspEnergy(StrEnum):
    """Which energy of VASP is the label."""

    FREE_ENERGY = "free_energy"
    SIGMA_TO_ZERO = "sigma_to_zero"


class VaspSource(Record):
    """VASP runs in folders: one material per run, one frame per ionic step."""

    kind: Literal["vasp"] = "vasp"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Files, or folders to search recursively; environment variables "
        "are expanded.",
    )
    energy: VaspEnergy = Field(
        VaspEnergy.FREE_ENERGY,
        description="Energy that is the label: `free_energy` (TOTEN, which the forces "
        "are derivatives of) or `sigma_to_zero` (E0, without smearing).",
    )


class StressUnit(StrEnum):
    """Unit and sign convention of the stresses of a source."""

    EV_PER_CUBIC_ANGSTROM = "eV/A^3"
    GPA = "GPa"
    VASP_KBAR = "VASP kBar"


class LastFrame(StrEnum):
    """Whether the last frame of a material is its relaxed structure."""

    RELAXED = "relaxed"
    ANY = "any"


class AseSource(Record):
    """Files that ASE can read: extxyz or an ASE database."""

    kind: Literal["ase"] = "ase"
    paths: tuple[str, ...] = Field(
        min_length=1, description="Files; environment variables are expanded."
    )
    functional: str = Field(description="Functional of the labels.")
    material_id_key: str | None = Field(
        "material_id",
        description="Key of the material id; null where every frame is a material of "
        "its own. Where a file lacks the default key, frames of one formula are one "
        "material.",
    )
    frame_id_key: str | None = Field(
        "frame_id",
        description="Key of the frame id; null to number the frames, as in files that "
        "lack the default key.",
    )
    last_frame: LastFrame = Field(
        LastFrame.ANY,
        description="Whether the last frame of a material is its relaxed structure "
        "(`relaxed`) or may be any (`any`).",
    )
    energy_key: str = Field("energy", description="Key of the total energy in eV.")
    forces_key: str = Field("forces", description="Key of the forces in eV/Å.")
    stress_key: str = Field("stress", description="Key of the stress.")
    stress_unit: StressUnit = Field(
        StressUnit.EV_PER_CUBIC_ANGSTROM, description="Unit and sign of the stress."
    )
    magmoms_key: str = Field("magmoms", description="Key of magnetic moments in μ_B.")


class EnergyLabel(StrEnum):
    """Which energy of a source is the label."""

    UNCORRECTED = "uncorrected"
    CORRECTED = "corrected"


class MptrjJsonSource(Record):
    """JSON files in the layout of MPtrj and MP-r2SCAN: frames by material and id."""

    kind: Literal["mptrj_json"] = "mptrj_json"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Files, plain or compressed; environment variables are expanded.",
    )
    functional: str = Field("r2SCAN", description="Functional of the labels.")
    energy: EnergyLabel = Field(
        EnergyLabel.UNCORRECTED,
        description="Which energy is the label: `uncorrected`, the total energy of "
        "VASP, or `corrected`, with MP2020 corrections for mixing GGA and GGA+U.",
    )
    stress_unit: StressUnit = Field(
        StressUnit.VASP_KBAR,
        description="Unit and sign of the stress; VASP's kBar are positive under "
        "compression.",
    )
    last_frame: LastFrame = Field(
        LastFrame.ANY,
        description="Whether the last frame of a material is its relaxed structure "
        "(`relaxed`) or may be any (`any`); used where the file has no relaxed energy.",
    )


class MatpesSource(Record):
    """MatPES files: one document per structure, in a list or an object by id."""

    kind: Literal["matpes"] = "matpes"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Files, plain or compressed; environment variables are expanded.",
    )
    stress_unit: StressUnit = Field(
        StressUnit.VASP_KBAR,
        description="Unit and sign of the stress; VASP's kBar are positive under "
        "compression.",
    )


class TaskType(StrEnum):
    """Task types of emmet that label frames."""

    STATIC = "Static"
    STRUCTURE_OPTIMIZATION = "Structure Optimization"


class PrimaryTask(StrEnum):
    """Which task of a material is its primary task."""

    LOWEST_ENERGY = "lowest_energy"
    NAMESAKE = "namesake"


class TaskDocumentsSource(Record):
    """VASP task documents of emmet, atomate and atomate2, in files or in a store."""

    kind: Literal["task_documents"] = "task_documents"
    paths: tuple[str, ...] = Field(
        (),
        description="JSON files of one document or a list, plain or compressed; "
        "environment variables are expanded.",
    )
    store: str | None = Field(
        None,
        description="File that configures a maggma store: jobflow.yaml, a mapping of a "
        "store's type and arguments, or a store serialised by monty; environment "
        "variables are expanded.",
    )
    query: dict[str, Any] = Field(
        default_factory=dict,
        description="MongoDB query that selects documents of the store; empty for all.",
    )
    material_id_key: str = Field(
        "task_id",
        description="Key of the material id, such as metadata.material_id; tasks of "
        "one material are in the same split.",
    )
    task_types: tuple[TaskType, ...] = Field(
        tuple(TaskType), min_length=1, description="Task types to read."
    )
    primary_task: PrimaryTask = Field(
        PrimaryTask.LOWEST_ENERGY,
        description="Primary task of each material and functional: the task of lowest "
        "energy, or the task whose id is the material id (`namesake`).",
    )

    @model_validator(mode="after")
    def _validate_origin(self) -> TaskDocumentsSource:
        """Validate that there are either files or a store, given as a path.

        A validator of the field ``store`` would print its value, perhaps a password.
        """
        if self.store and ("://" in self.store or "\n" in self.store):
            raise ValueError("expected the path of a file that describes the store")
        if bool(self.paths) == bool(self.store):
            raise ValueError("expected either `paths` or `store`")
        if self.query and not self.store:
            raise ValueError("expected a `store` to query, got files")
        return self


class RelaxedFrame(StrEnum):
    """Which frame of a material is its relaxed structure."""

    RELAXATION = "relaxation"
    LOWEST_ENERGY = "lowest_energy"


class GpawDocumentsSource(Record):
    """Documents of ``nextrung label --engine gpaw``: run folders, files or a store."""

    kind: Literal["gpaw_documents"] = "gpaw_documents"
    paths: tuple[str, ...] = Field(
        (),
        description="Run folders of `nextrung label`, or JSON files of one document or "
        "a list, plain or compressed; environment variables are expanded.",
    )
    store: str | None = Field(
        None,
        description="File that configures a maggma store, as of `task_documents`.",
    )
    query: dict[str, Any] = Field(
        default_factory=dict,
        description="MongoDB query that selects documents of the store or the run "
        "folders; empty for all.",
    )
    relaxed_frame: RelaxedFrame = Field(
        RelaxedFrame.RELAXATION,
        description="Relaxed structure of each material and functional: the last frame "
        "of a converged relaxation (`relaxation`), or the frame of lowest energy, of "
        "single points too (`lowest_energy`).",
    )

    @model_validator(mode="after")
    def _validate_origin(self) -> GpawDocumentsSource:
        """Validate that there are either paths or a store, given as a path."""
        if self.store and ("://" in self.store or "\n" in self.store):
            raise ValueError("expected the path of a file that describes the store")
        if bool(self.paths) == bool(self.store):
            raise ValueError("expected either `paths` or `store`")
        return self


class ShippedLabels(StrEnum):
    """Label files that the package ships."""

    GPAW_PBE = "gpaw-pbe"
    GPAW_R2SCAN = "gpaw-r2scan"


class LabelFilesSource(Record):
    """Label files: Parquet files of frames with how they were calculated."""

    kind: Literal["label_files"] = "label_files"
    paths: tuple[str, ...] = Field(
        (),
        description="Label files of one code and functional; environment variables "
        "are expanded.",
    )
    shipped: ShippedLabels | None = Field(
        None, description="Label file of the package, in place of `paths`."
    )
    last_frame: LastFrame = Field(
        LastFrame.RELAXED,
        description="Whether the last frame of a material is its relaxed structure "
        "(`relaxed`), as in shipped files, or may be any (`any`).",
    )

    @model_validator(mode="after")
    def _validate_origin(self) -> Self:
        """Validate that there are either paths or a file of the package."""
        if bool(self.paths) == bool(self.shipped):
            raise ValueError("expected either `paths` or `shipped`")
        return self


class ProjectDocuments(StrEnum):
    """Documents to request from the Materials Project."""

    TASKS = "tasks"
    TRAJECTORIES = "trajectories"


class MaterialsProjectSource(Record):
    """Calculations of the Materials Project; the API key is ``$MP_API_KEY``."""

    kind: Literal["materials_project"] = "materials_project"
    chemical_systems: tuple[str, ...] = Field(
        (), description="Chemical systems, such as Li-Mn-O, with their subsystems."
    )
    material_ids: tuple[str, ...] = Field((), description="Materials, such as mp-149.")
    functional: str = Field("r2SCAN", description="Functional of the calculations.")
    task_types: tuple[TaskType, ...] = Field(
        tuple(TaskType), min_length=1, description="Task types to read."
    )
    documents: ProjectDocuments = Field(
        ProjectDocuments.TASKS,
        description="Documents to request: full tasks, or trajectories, which are "
        "smaller and lack Hubbard U and the maximum number of electronic steps.",
    )
    endpoint: str = Field(
        "https://api.materialsproject.org",
        pattern="^https?://[^@?]+$",
        description="URL of the API.",
    )

    @model_validator(mode="after")
    def _validate_selection(self) -> MaterialsProjectSource:
        """Validate that materials are selected in exactly one way."""
        if bool(self.chemical_systems) == bool(self.material_ids):
            raise ValueError("expected either `chemical_systems` or `material_ids`")
        return self


class DistilledSource(Record):
    """Generated crystals labelled by a potential; needs no data."""

    kind: Literal["distilled"] = "distilled"
    teacher: str = Field("chgnet-r2scan", description="Potential that labels crystals.")
    functional: str = Field("r2SCAN", description="Functional of the teacher.")
    chemical_systems: tuple[str, ...] = Field(
        ("Li-Mn-O", "Na-Fe-F", "Mg-Si-O", "Ca-Ti-O"),
        min_length=1,
        description="Chemical systems of the crystals, such as Li-Mn-O.",
    )
    n_materials_per_system: int = Field(
        32,
        ge=1,
        le=1_000_000,
        description="Compounds generated in each chemical system.",
    )
    n_polymorphs_per_element: int = Field(
        2, ge=1, le=1_000_000, description="Crystals generated of each element."
    )
    n_frames_per_material: int = Field(
        4,
        ge=1,
        le=1_000_000,
        description="Frames per material, the relaxed structure included.",
    )
    max_atoms: int = Field(8, ge=1, description="Maximum number of atoms in a cell.")
    strain: float = Field(
        0.04, ge=0, lt=0.5, description="Maximum component of the random strain."
    )
    displacement: float = Field(
        0.05, ge=0, description="Standard deviation of random displacements in Å."
    )
    fmax: float = Field(
        0.05, gt=0, description="Maximum force of a converged relaxation in eV/Å."
    )
    max_steps: int = Field(200, ge=1, description="Maximum steps of a relaxation.")
    seed: int = Field(0, ge=0, description="Random seed.")

    @field_validator("chemical_systems")
    @classmethod
    def _validate_elements(cls, systems: tuple[str, ...]) -> tuple[str, ...]:
        """Validate that the systems consist of elements that potentials cover."""
        from pymatgen.core import Element  # noqa: PLC0415 - loads for a second

        for symbol in (symbol for system in systems for symbol in system.split("-")):
            if (
                not Element.is_valid_symbol(symbol)
                or Element(symbol).Z > MAX_ATOMIC_NUMBER
            ):
                raise ValueError(f"expected elements up to Pu, got {symbol!r}")
        return systems


Source = Annotated[
    VaspSource
    | AseSource
    | MptrjJsonSource
    | MatpesSource
    | TaskDocumentsSource
    | GpawDocumentsSource
    | LabelFilesSource
    | MaterialsProjectSource
    | DistilledSource,
    Field(discriminator="kind"),
]

#: Code that calculated the labels of each kind of source; of other kinds it is unknown.
CODES: Mapping[str, str] = {
    "vasp": "VASP",
    "mptrj_json": "VASP",
    "matpes": "VASP",
    "task_documents": "VASP",
    "materials_project": "VASP",
    "gpaw_documents": "GPAW",
}
