"""Settings of the labelling stage: which calculation labels which structures."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from nextrung.schemas.base import Record

#: Name of the jobs that label structures, by which they find their workers.
JOB_NAME = "label structure"


class InputSet(StrEnum):
    """Published VASP settings of single-point calculations."""

    MP_PBE = "mp_pbe"
    MP_R2SCAN = "mp_r2scan"
    MATPES_PBE = "matpes_pbe"
    MATPES_R2SCAN = "matpes_r2scan"
    HSE06 = "hse06"


class LabelSettings(Record):
    """How a structure is labelled by VASP."""

    input_set: InputSet = Field(
        InputSet.MP_R2SCAN,
        description="Settings of the calculation; those of the labels there are.",
    )
    incar: dict[str, Any] = Field(
        default_factory=dict, description="INCAR tags that differ from the input set."
    )
    maker: dict[str, Any] = Field(
        default_factory=dict,
        description="Other fields of atomate2's Maker, such as run_vasp_kwargs.",
    )
