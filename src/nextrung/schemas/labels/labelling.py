"""Engines of the labelling stage, and settings of VASP calculations of structures."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from nextrung.schemas.base import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Name of the jobs that label structures; jobs are routed to workers by name.
JOB_NAME = "label structure"


class Engine(StrEnum):
    """Code that labels structures."""

    VASP = "vasp"
    GPAW = "gpaw"


class InputSet(StrEnum):
    """Published VASP input sets of single-point calculations."""

    MP_PBE = "mp_pbe"
    MP_R2SCAN = "mp_r2scan"
    MATPES_PBE = "matpes_pbe"
    MATPES_R2SCAN = "matpes_r2scan"
    HSE06 = "hse06"


#: Functional of each input set.
FUNCTIONALS: Mapping[InputSet, str] = {
    InputSet.MP_PBE: "PBE",
    InputSet.MP_R2SCAN: "r2SCAN",
    InputSet.MATPES_PBE: "PBE",
    InputSet.MATPES_R2SCAN: "r2SCAN",
    InputSet.HSE06: "HSE06",
}


class LabelSettings(Record):
    """How structures are labelled with VASP."""

    input_set: InputSet = Field(
        InputSet.MP_R2SCAN,
        description="VASP input set of the calculations; choose that of existing "
        "labels, so that energies are comparable.",
    )
    incar: dict[str, Any] = Field(
        default_factory=dict, description="INCAR tags that override the input set."
    )
    maker: dict[str, Any] = Field(
        default_factory=dict, description="Other fields of the atomate2 Maker."
    )
