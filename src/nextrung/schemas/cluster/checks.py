"""Findings of the checks of a cluster's configuration and services."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nextrung.schemas.base import Record


class Level(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Record):
    """Result of one check."""

    subject: str = Field(description="What was checked.")
    level: Level = Field(description="Severity.")
    found: str = Field(description="What was found, in one line.")
    advice: str = Field("", description="What to do; empty where nothing is wrong.")


def make_finding(subject: str, level: Level, found: str, advice: str = "") -> Finding:  # noqa: PLR0917 - positional, one line per check
    """Make a finding from positional arguments.

    Parameters
    ----------
    subject : str
        What was checked.
    level : Level
        Severity.
    found : str
        What was found.
    advice : str
        What to do.
    """
    return Finding(subject=subject, level=level, found=found, advice=advice)
