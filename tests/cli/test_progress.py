from __future__ import annotations

import io

from rich.console import Console

from nextrung.cli.progress import JobProgress
from nextrung.makers.base import JobState, logger


def log(state: JobState, job: str, **details: object) -> None:
    logger.info("", extra={"state": state, "job": job, **details})


def test_every_finished_job_is_one_line() -> None:
    shown = io.StringIO()
    with JobProgress(Console(file=shown, width=80)) as progress:
        log(JobState.STARTED, "fit")
        logger.debug(
            "", extra={"job": "fit", "progress": {"done": 1, "total": 2, "text": ""}}
        )
        log(JobState.DONE, "fit", seconds=1.25)
        log(JobState.ANSWERED, "load")
        log(JobState.STARTED, "relax")
        log(JobState.FAILED, "relax", error=ValueError("no"))

    lines = [line.rstrip() for line in shown.getvalue().splitlines() if line.strip()]
    assert lines == ["✓ fit 1.2 s", "= load answered from the store", "✗ relax failed"]
    assert progress.summary == "1 jobs computed, 1 answered from the store, 1 failed"
    assert [str(error) for error in progress.failures] == ["no"]


def test_nothing_is_heard_afterwards() -> None:
    with JobProgress(Console(file=io.StringIO())) as progress:
        pass
    log(JobState.ANSWERED, "late")

    assert progress.summary.startswith("0 jobs computed, 0 answered")
    assert progress not in logger.handlers
