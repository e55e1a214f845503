"""Jobs and flows whose uuids follow from their settings and inputs."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Job, JobOrder, OutputReference

from nextrung.adapters.stores.write_retries import RetryingJobStore
from nextrung.makers.jobs.fingerprints import identify, identify_flow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from jobflow import JobStore, Maker, Response


class RetryingJob(Job):
    """A job whose store retries."""

    def run(self, store: JobStore, job_dir: Path | None = None) -> Response[Any]:
        """Run the job as ``Job.run`` does, with a store that retries.

        A worker of a LaunchPad makes a plain store from ``$JOBFLOW_CONFIG_FILE``;
        jobflow writes the document to the store that is given here.

        Parameters
        ----------
        store : JobStore
            Store of inputs and documents.
        job_dir : Path, optional
            Folder in which the job runs.

        Returns
        -------
        Response
            What the job returned; jobs that jobflow itself has added to a replacement,
            to store its output, retry too.
        """
        response = super().run(RetryingJobStore.wrap(store), job_dir)  # type: ignore[arg-type]
        if isinstance(response.replace, Flow):
            for job in response.replace.jobs:
                if type(job) is Job:
                    job.__class__ = RetryingJob
        return response


class TaskJob(RetryingJob):
    """A job of a Maker, whose uuid follows from the Maker and the inputs.

    An update of either changes the uuid, so that the document does not replace that of
    the job before the update; references to its output follow. Where the job is part of
    a flow, update the flow: the uuids of the jobs that depend on it then follow too.
    """

    def update_kwargs(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # numpydoc ignore=PR01
        """Update inputs as ``Job.update_kwargs`` does, and the uuid with them."""
        super().update_kwargs(*arguments, **options)
        self.derive_uuid()

    def update_maker_kwargs(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # numpydoc ignore=PR01
        """Update the Maker as ``Job.update_maker_kwargs`` does, and the uuid too."""
        super().update_maker_kwargs(*arguments, **options)
        self.derive_uuid()

    def derive_uuid(self) -> None:
        """Set the uuid that follows from the Maker and the inputs."""
        owner = [] if self.maker is None else [self.maker]
        inputs = [*owner, *self.function_args, *self.function_kwargs.values()]
        self.set_uuid(identify(inputs[0], inputs[1:]))


class TaskFlow(Flow):
    """A flow whose uuid follows from its name and its jobs.

    An update of Makers or inputs changes the uuids of the updated jobs, of all jobs
    that depend on them and of the flow, and all references to them.
    """

    def update_kwargs(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # numpydoc ignore=PR01
        """Update inputs as ``Flow.update_kwargs`` does, and the uuids with them."""
        with self._deriving_uuids():
            super().update_kwargs(*arguments, **options)

    def update_maker_kwargs(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # numpydoc ignore=PR01
        """Update Makers as ``Flow.update_maker_kwargs`` does, and the uuids too."""
        with self._deriving_uuids():
            super().update_maker_kwargs(*arguments, **options)

    @contextmanager
    def _deriving_uuids(self) -> Iterator[None]:
        """Derive the uuids of jobs, parents first, after the body of the context."""
        before = [(job, job.uuid) for job, _ in self.iterflow()]  # type: ignore[no-untyped-call]
        yield
        renamed: dict[str, str] = {}
        for job, uuid in before:
            updated = job.uuid
            job.function_args = _rename(job.function_args, renamed)
            job.function_kwargs = _rename(job.function_kwargs, renamed)
            if isinstance(job, TaskJob):
                job.derive_uuid()
            renamed |= {uuid: job.uuid, updated: job.uuid}
        _rename_flow(self, renamed)
        _rename_hosts(self, renamed)


def make_flow(
    jobs: Sequence[Job | Flow],
    output: OutputReference | list[OutputReference],
    name: str,
    *,
    order: JobOrder = JobOrder.AUTO,
) -> TaskFlow:
    """Make a flow whose uuid follows from its name and its jobs.

    Parameters
    ----------
    jobs : sequence of Job or Flow
        Jobs and flows that belong to no other flow yet.
    output : OutputReference or list of OutputReference
        Output of the flow.
    name : str
        Name of the flow.
    order : JobOrder
        Whether each member waits for those before it (``LINEAR``), or for its inputs
        alone.

    Returns
    -------
    TaskFlow
        The flow, with the same uuid for the same jobs.
    """
    uuid = identify_flow(name, [job.uuid for job in jobs])
    return TaskFlow(list(jobs), output=output, name=name, order=order, uuid=uuid)


def derive_uuid(make_job: Callable[..., Job]) -> Callable[..., TaskJob]:
    """Give the jobs of a Maker a uuid that follows from the Maker and the inputs.

    Parameters
    ----------
    make_job : callable
        Method that jobflow's ``job`` decorated.

    Returns
    -------
    callable
        The method. Inputs by position, by name and by default make the same job.
    """

    @wraps(make_job)
    def make(maker: Maker, *arguments: Any, **options: Any) -> TaskJob:  # noqa: ANN401
        made = make_job(maker, **bind_inputs(make_job, maker, *arguments, **options))
        made.__class__ = TaskJob  # jobflow's decorator makes plain jobs only
        made.derive_uuid()
        return made

    return make


def bind_inputs(
    make: Callable[..., Any],
    maker: Maker,
    *arguments: Any,  # noqa: ANN401
    **options: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Bind the inputs of a job to the parameters of ``make``, defaults included.

    Parameters
    ----------
    make : callable
        Method of the Maker.
    maker : Maker
        The Maker.
    *arguments, **options : object
        Inputs, by position and by name.

    Returns
    -------
    dict of str to object
        Inputs in the order of the parameters.
    """
    bound = signature(make).bind(maker, *arguments, **options)
    bound.apply_defaults()
    _, *inputs = bound.arguments.items()
    return dict(inputs)


def _rename(value: Any, renamed: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Replace uuids of jobs, plain and in references, in nested inputs."""
    if isinstance(value, OutputReference):
        return value.set_uuid(renamed.get(value.uuid, value.uuid))
    if isinstance(value, str):
        return renamed.get(value, value)
    if isinstance(value, dict):
        return {key: _rename(item, renamed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_rename(item, renamed) for item in value)
    return value


def _rename_flow(flow: Flow, renamed: dict[str, str]) -> None:
    """Derive the uuids of flows from their jobs, inner flows first."""
    for member in flow.jobs:
        if isinstance(member, Flow):
            _rename_flow(member, renamed)
    flow.output = _rename(flow.output, renamed)
    if isinstance(flow, TaskFlow):
        uuid = identify_flow(flow.name, [member.uuid for member in flow.jobs])
        renamed[flow.uuid] = flow.uuid = uuid


def _rename_hosts(flow: Flow, renamed: Mapping[str, str]) -> None:
    """Replace the uuids of flows in the lists of hosts."""
    for member in flow.jobs:
        member.hosts = _rename(member.hosts, renamed)
        if isinstance(member, Flow):
            _rename_hosts(member, renamed)
