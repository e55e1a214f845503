"""Curation rules, their settings, and rejections."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from nextrung.schemas.base import Record
from nextrung.schemas.labels.trajectory import ElectronicState

if TYPE_CHECKING:
    from nextrung.schemas.frames import Frames


class Label(StrEnum):
    """Property that a frame can be labelled with."""

    ENERGY = "energy"
    FORCES = "forces"
    STRESS = "stress"
    MAGMOMS = "magmoms"


class Rule(StrEnum):
    """Curation rules, in the order in which they are applied."""

    INCOMPLETE_FILE = "incomplete_file"
    TASK_TYPE = "task_type"
    FUNCTIONAL = "functional"
    NOT_GROUND_STATE = "not_ground_state"
    HUBBARD_U = "hubbard_u"
    PLANE_WAVE_CUTOFF = "plane_wave_cutoff"
    NOT_CONVERGED = "not_converged"
    ENERGY_SCALE = "energy_scale"
    PRIMARY_TASK = "primary_task"
    ENERGY_WINDOW = "energy_window"
    UNCORRECTABLE = "uncorrectable"
    MISSING_LABEL = "missing_label"
    FAILED_LABELLING = "failed_labelling"
    DUPLICATE = "duplicate"


class Rejection(Record):
    """Rejected frame, or file from which no frame could be read."""

    frame_id: str = Field(description="Id of the frame, or path of the file.")
    material_id: str = Field(description="Material of the frame.")
    rule: Rule = Field(description="First rule that the frame violates.")
    reason: str = Field(description="Expected and actual value.")

    @classmethod
    def of(cls, frames: Frames, rule: Rule, reason: str) -> list[Self]:
        """Reject frames for the same reason.

        Parameters
        ----------
        frames : Frames
            Frames to reject.
        rule : Rule
            Rule that they violate.
        reason : str
            Expected and actual value.
        """
        return [
            cls(frame_id=frame, material_id=material, rule=rule, reason=reason)
            for frame, material in zip(
                frames.frame_ids.tolist(), frames.material_ids.tolist(), strict=True
            )
        ]


class HubbardU(StrEnum):
    """Whether runs with a Hubbard U above zero are rejected."""

    REJECTED = "rejected"
    ALLOWED = "allowed"


class ElectronicConvergence(StrEnum):
    """Whether frames with unconverged electronic steps are rejected."""

    REQUIRED = "required"
    IGNORED = "ignored"


class EnergyScaleSettings(Record):
    """Check of total energies against a potential of the same functional."""

    potentials: dict[str, str] = Field(
        default_factory=lambda: {"r2SCAN": "chgnet-r2scan"},
        description="Potential that predicts reference energies, by functional of the "
        "labels; labels of other functionals are not checked.",
    )
    tolerance: float = Field(
        0.75, gt=0, description="Maximum deviation of label from prediction in eV/atom."
    )


class PrimaryTaskSettings(Record):
    """Check of tasks against the primary task of their material."""

    tolerance: float = Field(
        0.02,
        gt=0,
        description="Maximum absolute difference between the final energies of a task "
        "and of the primary task in eV/atom.",
    )


class MissingInput(StrEnum):
    """What to do where the source lacks the data that a rule needs."""

    SKIP = "skip"
    STOP = "stop"


class CorrectionScheme(StrEnum):
    """Energy corrections for mixing GGA and GGA+U calculations."""

    NONE = "none"
    MP2020 = "MP2020"


class EnergyWindow(Record):
    """Allowed energies of frames relative to the relaxed structure."""

    below: float = Field(
        0.01, ge=0, description="Maximum energy below the relaxed structure in eV/atom."
    )
    above: float = Field(
        1.0, ge=0, description="Maximum energy above the relaxed structure in eV/atom."
    )


class DuplicateTolerance(Record):
    """When two frames of a material are duplicates, by number of accepted frames."""

    more_than: int = Field(
        ge=-1,
        description="Tolerance applies once more than this many frames of the material "
        "are accepted; -1 from the start.",
    )
    energy: float = Field(
        ge=0, description="Minimum energy difference of distinct frames in eV/atom."
    )
    length: float = Field(gt=0, description="`ltol` of pymatgen's StructureMatcher.")
    site: float = Field(gt=0, description="`stol` of pymatgen's StructureMatcher.")
    angle: float = Field(gt=0, description="`angle_tol` in degrees.")


class CrystalTolerance(Record):
    """When two structures are the same crystal."""

    length: float = Field(0.2, gt=0, description="StructureMatcher's `ltol`.")
    site: float = Field(0.3, gt=0, description="StructureMatcher's `stol`.")
    angle: float = Field(
        5.0, gt=0, description="StructureMatcher's `angle_tol` in degrees."
    )


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
    """Rules that frames must satisfy."""

    functional: str = Field("r2SCAN", description="Required functional of the labels.")
    hubbard_u: HubbardU = Field(
        HubbardU.REJECTED,
        description="Whether runs with a Hubbard U above 0 eV are rejected or allowed.",
    )
    allowed_states: tuple[ElectronicState, ...] = Field(
        (),
        description="Runs to keep though their energy is not that of the "
        "self-consistent ground state of a neutral cell without spin-orbit coupling.",
    )
    min_plane_wave_cutoff: float | None = Field(
        None, gt=0, description="Minimum plane-wave cutoff in eV; null for no minimum."
    )
    electronic_convergence: ElectronicConvergence = Field(
        ElectronicConvergence.REQUIRED,
        description="Whether frames whose electronic steps did not converge are "
        "rejected (`required`) or kept (`ignored`).",
    )
    energy_scale: EnergyScaleSettings = Field(
        default_factory=EnergyScaleSettings,
        description="Check that total energies match predictions of a potential of the "
        "same functional.",
    )
    primary_task: PrimaryTaskSettings | None = Field(
        default_factory=PrimaryTaskSettings,
        description="Check that functional, Hubbard U and final energy of a task match "
        "the primary task of its material; null for no check.",
    )
    missing_input: MissingInput = Field(
        MissingInput.SKIP,
        description="Whether `primary_task` and `energy_window` are skipped or the "
        "study stops where the source has no primary task or relaxed energy.",
    )
    energy_window: EnergyWindow | None = Field(
        default_factory=EnergyWindow,
        description="Allowed energies of frames relative to the relaxed structure, "
        "where that is known; null for no check.",
    )
    corrections: CorrectionScheme = Field(
        CorrectionScheme.NONE,
        description="Corrections added to energies; the frames file also keeps the "
        "uncorrected ones. `MP2020` requires PBE with the Hubbard U of the Materials "
        "Project.",
    )
    required_labels: tuple[Label, ...] = Field(
        (Label.ENERGY, Label.FORCES),
        min_length=1,
        description="Labels that frames must have; `[energy]` takes frames of energies "
        "alone too.",
    )
    duplicate_tolerances: tuple[DuplicateTolerance, ...] = Field(
        MPTRJ_TOLERANCES,
        description="When frames of a material are duplicates; empty to keep "
        "duplicates. The last tolerance that applies is used.",
    )

    @model_validator(mode="after")
    def _validate_corrections(self) -> CurationSettings:
        """Validate that the corrections were fitted for the functional."""
        if self.corrections is CorrectionScheme.MP2020 and self.functional != "PBE":
            raise ValueError(f"expected PBE to correct, got {self.functional}")
        return self
