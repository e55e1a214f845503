"""What a person sees while jobs run: bars, and one line per finished job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nextrung.makers.jobs.task_job import JobState, logger

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.progress import TaskID

#: Seconds over which the speed is averaged: an epoch may take longer than rich's 30 s.
SPEED_PERIOD = 3600.0


class JobProgress(logging.Handler):
    """Show the jobs of a flow as they are logged."""

    def __init__(self, console: Console, n_jobs: int = 0) -> None:
        super().__init__(logging.DEBUG)
        self.failures: list[Exception] = []
        self._counts = dict.fromkeys(JobState, 0)
        self._current: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            transient=True,
            speed_estimate_period=SPEED_PERIOD,
        )

        self._study = self._progress.add_task(
            "all jobs", total=n_jobs, note="", visible=n_jobs > 1
        )

    def __enter__(self) -> Self:
        """Start to listen and to show."""
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to listen and to show."""
        self._progress.stop()
        logger.removeHandler(self)
        logger.propagate = True

    @property
    def summary(self) -> str:
        """How many jobs were computed, answered from the store, and failed."""
        return (
            f"{self._counts[JobState.DONE]} jobs computed, "
            f"{self._counts[JobState.ANSWERED]} answered from the store, "
            f"{self._counts[JobState.FAILED]} failed"
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Turn one log record into a bar or a line."""
        fields = vars(record)
        if "progress" in fields:
            self._move(fields["job"], **fields["progress"])
        elif "state" in fields:
            self._change(fields)
        elif record.levelno >= logging.WARNING:
            self._progress.console.print(escape(record.getMessage()), style="yellow")

    def _move(self, job: str, *, done: int, total: int, text: str) -> None:
        """Move the bar of the running job."""
        if self._current is not None:
            self._progress.update(
                self._current, description=job, completed=done, total=total, note=text
            )

    def _count_finished(self) -> None:
        """Move the bar of all jobs, which grow where a job plans others."""
        ended = (JobState.DONE, JobState.ANSWERED, JobState.FAILED)
        n_ended = sum(self._counts[state] for state in ended)
        known = self._progress.tasks[0].total or 0
        self._progress.update(self._study, completed=n_ended, total=max(known, n_ended))

    def _change(self, fields: dict[str, object]) -> None:
        """Start a bar, or replace it by a line."""
        state, job = fields["state"], fields["job"]
        self._counts[JobState(str(state))] += 1
        if self._current is not None:
            self._progress.remove_task(self._current)
            self._current = None
        if state == JobState.STARTED:
            self._current = self._progress.add_task(str(job), total=None, note="")
            return
        self._count_finished()
        seconds = fields.get("seconds")
        error = fields.get("error")
        if isinstance(error, Exception):
            self.failures.append(error)
        self._progress.console.print(_line(str(job), JobState(str(state)), seconds))


def _line(job: str, state: JobState, seconds: object) -> Text:
    """Describe in one line what became of a job."""
    if state is JobState.DONE and isinstance(seconds, float):
        return Text.assemble(("✓", "green"), f" {job} ", (f"{seconds:.1f} s", "dim"))
    mark = ("=", "blue") if state is JobState.ANSWERED else ("✗", "red")
    return Text.assemble(mark, f" {job} ", (str(state), "dim"))
