"""Which frames are kept, and why others are not."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from nextrung.schemas.base import Record

if TYPE_CHECKING:
    from nextrung.schemas.frames import Frames


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
    UNCORRECTABLE = "uncorrectable"
    MISSING_LABEL = "missing_label"
    FAILED_LABELLING = "failed_labelling"
    DUPLICATE = "duplicate"


class Rejection(Record):
    """A frame that was left out, or a whole file where no frame could be read."""

    frame_id: str = Field(description="Frame, or file where none could be read.")
    material_id: str = Field(description="Material the frame belongs to.")
    rule: Rule = Field(description="First rule that the frame broke.")
    reason: str = Field(description="What was expected and what was got, in figures.")

    @classmethod
    def of(cls, frames: Frames, rule: Rule, reason: str) -> list[Self]:
        """Reject frames for one reason.

        Parameters
        ----------
        frames : Frames
            The frames to leave out.
        rule : Rule
            Rule that they break.
        reason : str
            What was expected and what was got.

        Returns
        -------
        list of Rejection
            One per frame.
        """
        return [
            cls(frame_id=frame, material_id=material, rule=rule, reason=reason)
            for frame, material in zip(
                frames.frame_ids.tolist(), frames.material_ids.tolist(), strict=True
            )
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


class CorrectionScheme(StrEnum):
    """What is added to energies so that those of GGA and GGA+U mix."""

    NONE = "none"
    MP2020 = "MP2020"


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
    corrections: CorrectionScheme = Field(
        CorrectionScheme.NONE,
        description="What is added to the energies; the frames file keeps the raw ones "
        "beside those corrected. MP2020 is for PBE with the Hubbard U of the Materials "
        "Project.",
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

    @model_validator(mode="after")
    def _correct_what_can_be(self) -> CurationSettings:
        """Refuse corrections of energies that they were not fitted for."""
        if self.corrections is CorrectionScheme.MP2020 and self.functional != "PBE":
            raise ValueError(f"expected PBE to correct, got {self.functional}")
        return self
