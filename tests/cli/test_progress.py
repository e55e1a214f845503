from __future__ import annotations

import io

from rich.console import Console

from nextrung.cli.progress import JobProgress
from nextrung.makers.jobs.task_job import JobState, logger


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


def test_a_bar_counts_all_jobs_also_those_planned_later() -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=120, force_terminal=True)
    with JobProgress(console, 2) as progress:
        for job in ("plan", "shard", "merge"):
            log(JobState.STARTED, job)
            moved = {"done": 3, "total": 9, "text": "E 5"}
            logger.debug("", extra={"job": job, "progress": moved})
            progress._progress.refresh()
            log(JobState.DONE, job, seconds=1.0)
        progress._progress.refresh()

    text = shown.getvalue()
    assert "all jobs" in text
    assert "1/2" in text
    assert "3/3" in text
    assert "3/9" in text
    assert "E 5" in text
