"""What was found of a cluster that studies are to run on."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nextrung.schemas.base import Record


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Record):
    """One thing that was looked at."""

    subject: str = Field(description="What was looked at.")
    level: Level = Field(description="How bad it is.")
    found: str = Field(description="What was got, in one line.")
    advice: str = Field("", description="What to do about it; empty where it is fine.")


def make_finding(subject: str, level: Level, found: str, advice: str = "") -> Finding:  # noqa: PLR0917 - as it reads
    """Make a finding in one line.

    Parameters
    ----------
    subject : str
        What was looked at.
    level : Level
        How bad it is.
    found : str
        What was got.
    advice : str
        What to do about it.

    Returns
    -------
    Finding
        The finding.
    """
    return Finding(subject=subject, level=level, found=found, advice=advice)
