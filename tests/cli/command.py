"""The command line in a process that has imported what a run needs."""

from __future__ import annotations

import sys

import nextrung.makers.study
import nextrung.reports.pages.page  # noqa: F401
from nextrung import cli


def main(*arguments: str) -> None:
    """Call ``nextrung`` with arguments."""
    sys.argv = ["nextrung", *arguments]
    cli.main()
