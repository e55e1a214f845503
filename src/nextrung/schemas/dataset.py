"""Settings, results and documents of the dataset stage."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pymatgen.core import Element

from nextrung.schemas.base import Artifact, Record, TaskDoc

#: Atomic number of plutonium, the heaviest element that CHGNet knows.
MAX_ELEMENT = 94


class Label(StrEnum):
    """A property that a frame may be labelled with."""

    ENERGY = "energy"
    FORCES = "forces"
    STRESS = "stress"
    MAGMOMS = "magmoms"


class Rule(StrEnum):
    """Why a frame was left out, in the order in which the rules are applied."""

    INCOMPLETE_FILE = "incomplete_file"
    TASK_TYPE = "task_type"
    FUNCTIONAL = "functional"
    HUBBARD_U = "hubbard_u"
    PLANE_WAVE_CUTOFF = "plane_wave_cutoff"
    NOT_CONVERGED = "not_converged"
    ENERGY_SCALE = "energy_scale"
    PRIMARY_TASK = "primary_task"
    ENERGY_WINDOW = "energy_window"
    MISSING_LABEL = "missing_label"
    FAILED_LABELLING = "failed_labelling"
    DUPLICATE = "duplicate"


class Rejection(Record):
    """A frame that was left out, or a whole file where no frame could be read."""

    frame_id: str = Field(description="Frame, or file where none could be read.")
    material_id: str = Field(description="Material the frame belongs to.")
    rule: Rule = Field(description="First rule that the frame broke.")
    reason: str = Field(description="What was expected and what was met, in figures.")


class VaspSource(Record):
    """VASP runs below folders, one material per run, one frame per ionic step."""

    kind: Literal["vasp"] = "vasp"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Folders or files; environment variables are expanded on reading.",
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
    """VASP task documents of emmet, atomate and atomate2 in JSON files."""

    kind: Literal["task_documents"] = "task_documents"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Files, each of one document or a list, plain or compressed; "
        "environment variables are expanded on reading.",
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
                raise ValueError(f"expected elements up to Pu, met {symbol!r}")
        return systems


Source = Annotated[
    VaspSource
    | AseSource
    | MptrjJsonSource
    | MatpesSource
    | TaskDocumentsSource
    | DistilledSource,
    Field(discriminator="kind"),
]


class HubbardU(StrEnum):
    """What becomes of runs with a Hubbard U above zero."""

    REJECTED = "rejected"
    ALLOWED = "allowed"


class ElectronicConvergence(StrEnum):
    """What becomes of frames whose electronic steps ran out."""

    REQUIRED = "required"
    IGNORED = "ignored"


class EnergyScaleSettings(Record):
    """How energies that contradict their functional are found."""

    potentials: dict[str, str] = Field(
        default_factory=lambda: {"r2SCAN": "chgnet-r2scan"},
        description="Potential that knows the scale of a functional, by functional; "
        "runs of a functional without one are not checked.",
    )
    tolerance: float = Field(
        0.75,
        gt=0,
        description="Largest difference between label and potential in eV/atom.",
    )


class PrimaryTaskSettings(Record):
    """How far the final energy of a task may be from that of the primary task."""

    tolerance: float = Field(
        0.02, gt=0, description="Largest energy difference in eV/atom."
    )


class MissingInput(StrEnum):
    """What becomes of frames whose source lacks what a rule asks about."""

    SKIP = "skip"
    STOP = "stop"


class EnergyWindow(Record):
    """How far the energy of a frame may be from that of the relaxed structure."""

    below: float = Field(0.01, ge=0, description="How much lower, in eV/atom.")
    above: float = Field(1.0, ge=0, description="How much higher, in eV/atom.")


class DuplicateTolerance(Record):
    """When two frames of a material are the same, at a number of accepted frames."""

    more_than: int = Field(
        ge=-1, description="Holds where more frames than this are accepted."
    )
    energy: float = Field(
        ge=0, description="Energy difference in eV/atom above which frames differ."
    )
    length: float = Field(gt=0, description="StructureMatcher's `ltol`.")
    site: float = Field(gt=0, description="StructureMatcher's `stol`.")
    angle: float = Field(gt=0, description="StructureMatcher's `angle_tol` in degrees.")


#: Tolerances of the MPtrj data set, from the authors' ``examples/QueryMPtrj.md``.
MPTRJ_TOLERANCES = (
    DuplicateTolerance(
        more_than=-1, energy=0.002, length=0.002, site=0.001, angle=0.05
    ),
    DuplicateTolerance(more_than=10, energy=0.005, length=0.01, site=0.01, angle=0.1),
    DuplicateTolerance(more_than=30, energy=0.01, length=0.1, site=0.1, angle=1),
    DuplicateTolerance(more_than=50, energy=0.03, length=0.3, site=0.2, angle=3),
)


class CurationSettings(Record):
    """Which frames are kept."""

    functional: str = Field("r2SCAN", description="Functional the labels must have.")
    hubbard_u: HubbardU = Field(
        HubbardU.REJECTED, description="What becomes of runs with U > 0."
    )
    min_plane_wave_cutoff: float | None = Field(
        None, gt=0, description="Smallest plane-wave cutoff in eV; null for any."
    )
    electronic_convergence: ElectronicConvergence = Field(
        ElectronicConvergence.REQUIRED,
        description="What becomes of frames whose electronic steps ran out.",
    )
    energy_scale: EnergyScaleSettings = Field(
        default_factory=EnergyScaleSettings,
        description="How energies that contradict their functional are found.",
    )
    primary_task: PrimaryTaskSettings | None = Field(
        default_factory=PrimaryTaskSettings,
        description="How far tasks may be from the primary task of their material, "
        "and that their Hubbard U is the same; null for any task.",
    )
    missing_input: MissingInput = Field(
        MissingInput.SKIP,
        description="Whether a rule is skipped, or the study stops, where the source "
        "does not name a primary task or a relaxed energy.",
    )
    energy_window: EnergyWindow | None = Field(
        default_factory=EnergyWindow,
        description="How far energies may be from the relaxed one, where that is "
        "known; null for any distance.",
    )
    required_labels: tuple[Label, ...] = Field(
        (Label.ENERGY, Label.FORCES),
        min_length=1,
        description="Labels without which a frame is useless.",
    )
    duplicate_tolerances: tuple[DuplicateTolerance, ...] = Field(
        MPTRJ_TOLERANCES,
        description="When frames of a material are the same; empty to keep them all.",
    )


class SplitSettings(Record):
    """How materials are shared out among training, validation and test."""

    val: float = Field(0.1, ge=0, lt=1, description="Share of validation materials.")
    test: float = Field(0.1, ge=0, lt=1, description="Share of test materials.")
    seed: int = Field(0, ge=0, description="Seed of the shuffle.")
    keep_elements_in_train: bool = Field(
        default=True, description="Whether training must know every element."
    )

    @model_validator(mode="after")
    def _leave_something_to_train(self) -> SplitSettings:
        """Refuse shares that leave nothing to train on."""
        if self.val + self.test >= 1:
            raise ValueError(f"val {self.val} + test {self.test} leave no training set")
        return self


class DatasetSettings(Record):
    """Where frames come from, which are kept, and how they are split."""

    source: Source = Field(
        default_factory=DistilledSource, description="Where frames come from."
    )
    curation: CurationSettings = Field(
        default_factory=CurationSettings, description="Which frames are kept."
    )
    split: SplitSettings = Field(
        default_factory=SplitSettings, description="How materials are shared out."
    )


class DatasetDoc(TaskDoc):
    """Output of :class:`~nextrung.makers.dataset.DatasetMaker`."""

    settings: DatasetSettings = Field(description="Settings the stage ran with.")
    labels: str = Field(description="Where the labels come from, for readers.")
    functional: str = Field(description="Functional of the labels.")
    n_materials: int = Field(ge=0, description="Materials kept.")
    n_frames: int = Field(ge=0, description="Frames kept.")
    n_frames_before_deduplication: int = Field(
        ge=0, description="Frames that broke no rule but the one on duplicates."
    )
    n_rejected: dict[Rule, int] = Field(
        description="Frames or unreadable files left out, by rule."
    )
    n_skipped: dict[Rule, int] = Field(
        default_factory=dict,
        description="Frames that could not be judged by a rule, because the source "
        "lacks what it asks about.",
    )
    n_materials_by_split: dict[str, int] = Field(description="Materials, by split.")
    n_frames_by_split: dict[str, int] = Field(description="Frames, by split.")
    element_counts: dict[str, int] = Field(
        description="Frames that hold the element, by symbol."
    )
    frames: Artifact = Field(description="The kept frames, Parquet.")
    rejections: Artifact = Field(description="Every rejected frame, Parquet.")
    materials: Artifact = Field(
        description="Initial structure and target energy per material, Parquet."
    )
