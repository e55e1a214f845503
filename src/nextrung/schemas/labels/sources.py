"""Where labels come from."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pymatgen.core import Element

from nextrung.schemas.base import Record

#: Atomic number of plutonium, the heaviest element that CHGNet knows.
MAX_ELEMENT = 94


class VaspEnergy(StrEnum):
    """Which energy of VASP is the label."""

    FREE_ENERGY = "free_energy"
    SIGMA_TO_ZERO = "sigma_to_zero"


class VaspSource(Record):
    """VASP runs below folders, one material per run, one frame per ionic step."""

    kind: Literal["vasp"] = "vasp"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Folders or files; environment variables are expanded on reading.",
    )
    energy: VaspEnergy = Field(
        VaspEnergy.FREE_ENERGY,
        description="Energy that is the label: `free_energy` (TOTEN, which the forces "
        "are derivatives of) or `sigma_to_zero` (E0, without smearing).",
    )


class StressUnit(StrEnum):
    """Unit and sign of the stresses of a source."""

    EV_PER_CUBIC_ANGSTROM = "eV/A^3"
    GPA = "GPa"
    VASP_KBAR = "VASP kBar"


class LastFrame(StrEnum):
    """What the last frame of a material is."""

    RELAXED = "relaxed"
    ANY = "any"


class AseSource(Record):
    """Files that ASE reads: extxyz or an ASE database."""

    kind: Literal["ase"] = "ase"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Files; environment variables are expanded on reading.",
    )
    functional: str = Field(description="Functional of the labels.")
    material_id_key: str | None = Field(
        "material_id",
        description="Key of the material's name; null where every frame is a material.",
    )
    frame_id_key: str | None = Field(
        "frame_id", description="Key of the frame's name; null to count the frames."
    )
    last_frame: LastFrame = Field(
        LastFrame.ANY,
        description="Whether the last frame of a material is its relaxed structure.",
    )
    energy_key: str = Field("energy", description="Key of the total energy in eV.")
    forces_key: str = Field("forces", description="Key of the forces in eV/Å.")
    stress_key: str = Field("stress", description="Key of the stress.")
    stress_unit: StressUnit = Field(
        StressUnit.EV_PER_CUBIC_ANGSTROM, description="Unit and sign of the stress."
    )
    magmoms_key: str = Field("magmoms", description="Key of the moments in μ_B.")


class EnergyLabel(StrEnum):
    """Which of the energies of a source is the label."""

    UNCORRECTED = "uncorrected"
    CORRECTED = "corrected"


class MptrjJsonSource(Record):
    """JSON as MPtrj and MP-r2SCAN are published: frames by id by material."""

    kind: Literal["mptrj_json"] = "mptrj_json"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Files, plain or compressed; environment variables are expanded on "
        "reading.",
    )
    functional: str = Field("r2SCAN", description="Functional of the labels.")
    energy: EnergyLabel = Field(
        EnergyLabel.UNCORRECTED,
        description="Total energy of VASP, or with the corrections that mix GGA with "
        "GGA+U.",
    )
    stress_unit: StressUnit = Field(
        StressUnit.VASP_KBAR, description="Unit and sign of the stress."
    )
    last_frame: LastFrame = Field(
        LastFrame.ANY,
        description="Whether the last frame of a material is its relaxed structure, "
        "where the file does not say how much energy that has.",
    )


class MatpesSource(Record):
    """MatPES: one flat document per structure, in a list or an object by name."""

    kind: Literal["matpes"] = "matpes"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Files, plain or compressed; environment variables are expanded on "
        "reading.",
    )
    stress_unit: StressUnit = Field(
        StressUnit.VASP_KBAR, description="Unit and sign of the stress."
    )


class TaskType(StrEnum):
    """Kinds of calculation that emmet tells apart, as far as they label frames."""

    STATIC = "Static"
    STRUCTURE_OPTIMIZATION = "Structure Optimization"


class PrimaryTask(StrEnum):
    """Which task of a material the others are compared with."""

    LOWEST_ENERGY = "lowest_energy"
    NAMESAKE = "namesake"


class TaskDocumentsSource(Record):
    """VASP task documents of emmet, atomate and atomate2, in files or in a store."""

    kind: Literal["task_documents"] = "task_documents"
    paths: tuple[str, ...] = Field(
        (),
        description="JSON files, each of one document or a list, plain or compressed; "
        "environment variables are expanded on reading.",
    )
    store: str | None = Field(
        None,
        description="File that describes a maggma store: jobflow.yaml, a store's keys "
        "with its type, or what monty has written; environment variables are expanded "
        "on reading.",
    )
    query: dict[str, Any] = Field(
        default_factory=dict, description="Which documents of the store, as for Mongo."
    )
    material_id_key: str = Field(
        "task_id",
        description="Key of the material's name, such as metadata.material_id; tasks "
        "of one name stay in one split.",
    )
    task_types: tuple[TaskType, ...] = Field(
        tuple(TaskType), min_length=1, description="Kinds of calculation to read."
    )
    primary_task: PrimaryTask = Field(
        PrimaryTask.LOWEST_ENERGY,
        description="Primary task of a material, of its functional: the lowest in "
        "energy, or the one that has the name of the material.",
    )

    @model_validator(mode="after")
    def _be_somewhere(self) -> TaskDocumentsSource:
        """Refuse no place, two places, and what may hold a password.

        Validators of one field would repeat what they got.
        """
        if self.store and ("://" in self.store or "\n" in self.store):
            raise ValueError("expected the path of a file that describes the store")
        if bool(self.paths) == bool(self.store):
            raise ValueError("expected either `paths` or `store`")
        if self.query and not self.store:
            raise ValueError("expected a `store` to query, got files")
        return self


class ProjectDocuments(StrEnum):
    """What the Materials Project is asked for."""

    TASKS = "tasks"
    TRAJECTORIES = "trajectories"


class MaterialsProjectSource(Record):
    """Calculations of the Materials Project; the key is in ``$MP_API_KEY``."""

    kind: Literal["materials_project"] = "materials_project"
    chemical_systems: tuple[str, ...] = Field(
        (),
        description="Chemical systems as element symbols joined by hyphens; those "
        "within them are part of it.",
    )
    material_ids: tuple[str, ...] = Field(
        (), description="Materials by name, such as mp-149."
    )
    functional: str = Field("r2SCAN", description="Functional of the calculations.")
    task_types: tuple[TaskType, ...] = Field(
        tuple(TaskType), min_length=1, description="Kinds of calculation to read."
    )
    documents: ProjectDocuments = Field(
        ProjectDocuments.TASKS,
        description="Whole tasks, or their trajectories, which are shorter and know "
        "neither the Hubbard U nor the limit of the electronic steps.",
    )
    endpoint: str = Field(
        "https://api.materialsproject.org",
        pattern="^https?://[^@?]+$",
        description="Address of the interface.",
    )

    @model_validator(mode="after")
    def _name_materials(self) -> MaterialsProjectSource:
        """Refuse to fetch everything, or two choices at once."""
        if bool(self.chemical_systems) == bool(self.material_ids):
            raise ValueError("expected either `chemical_systems` or `material_ids`")
        return self


class DistilledSource(Record):
    """Made-up crystals labelled by a potential, for machines without data."""

    kind: Literal["distilled"] = "distilled"
    teacher: str = Field(
        "chgnet-r2scan", description="Potential that relaxes and labels."
    )
    functional: str = Field(
        "r2SCAN", description="Functional that the teacher stands for."
    )
    chemical_systems: tuple[str, ...] = Field(
        ("Li-Mn-O", "Na-Fe-F", "Mg-Si-O", "Ca-Ti-O"),
        min_length=1,
        description="Chemical systems to fill, as element symbols joined by hyphens.",
    )
    n_materials_per_system: int = Field(
        32, ge=1, description="Crystals of two and more elements in each system."
    )
    n_polymorphs_per_element: int = Field(
        2, ge=1, description="Crystals of each element."
    )
    n_frames_per_material: int = Field(
        4, ge=1, description="Labelled configurations, the relaxed one included."
    )
    max_atoms: int = Field(8, ge=1, description="Largest number of atoms in a cell.")
    strain: float = Field(
        0.04, ge=0, lt=0.5, description="Largest component of the random strain."
    )
    displacement: float = Field(
        0.05, ge=0, description="Standard deviation of the displacements in Å."
    )
    fmax: float = Field(
        0.05, gt=0, description="Force in eV/Å to which the teacher relaxes."
    )
    max_steps: int = Field(200, ge=1, description="Steps after which it gives up.")
    seed: int = Field(0, ge=0, description="Seed of every random choice.")

    @field_validator("chemical_systems")
    @classmethod
    def _know_elements(cls, systems: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is no element, or one that no potential has a place for."""
        for symbol in (symbol for system in systems for symbol in system.split("-")):
            if not Element.is_valid_symbol(symbol) or Element(symbol).Z > MAX_ELEMENT:
                raise ValueError(f"expected elements up to Pu, got {symbol!r}")
        return systems


Source = Annotated[
    VaspSource
    | AseSource
    | MptrjJsonSource
    | MatpesSource
    | TaskDocumentsSource
    | MaterialsProjectSource
    | DistilledSource,
    Field(discriminator="kind"),
]
