"""Which worker of a cluster runs which job, and what the job asks of the queue."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, computed_field, model_validator

from nextrung.schemas.base import Record

#: Category of jobs that predict with the network or train it, where none is chosen.
GPU_CATEGORY = "gpu"

#: Category of all other jobs, where none is chosen.
CPU_CATEGORY = "cpu"


def _write_seconds(value: Any) -> Any:  # noqa: ANN401
    """Write seconds as Slurm does: YAML reads an unquoted 24:00:00 as their number."""
    if not isinstance(value, int):
        return value
    minutes, seconds = divmod(value, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


class Resources(Record):
    """What a job asks of the queue; what is null is left to the worker's own file."""

    walltime: Annotated[str | None, BeforeValidator(_write_seconds)] = Field(
        None,
        pattern=r"^(\d+-)?\d+:\d{2}:\d{2}$",
        description="Longest duration, [days-]hours:minutes:seconds.",
    )
    memory: str | None = Field(
        None, pattern=r"^\d+[KMGT]?$", description="Memory of the node, such as 16G."
    )
    cpus: int | None = Field(None, ge=1, description="Processor cores.")
    gpus: int | None = Field(None, ge=0, description="GPUs.")


class JobRoute(Resources):
    """Where one kind of job goes."""

    category: str | None = Field(
        None, description="Workers that run it; null for `gpu` or `cpu`, by its kind."
    )


class JobRoutes(Record):
    """Where every kind of job goes."""

    dataset: JobRoute = Field(JobRoute(), description="Curates or distils frames.")
    source: JobRoute = Field(JobRoute(), description="Loads the source potential.")
    atom_refs: JobRoute = Field(JobRoute(), description="Fits reference energies.")
    alignment: JobRoute = Field(JobRoute(), description="Compares functionals.")
    references: JobRoute = Field(JobRoute(), description="Re-references the source.")
    fine_tuning: JobRoute = Field(JobRoute(), description="Trains one model.")
    evaluation: JobRoute = Field(JobRoute(), description="Predicts the frames.")
    relaxation_plan: JobRoute = Field(JobRoute(), description="Cuts shards.")
    relaxation: JobRoute = Field(JobRoute(), description="Relaxes one shard.")
    relaxation_merge: JobRoute = Field(JobRoute(), description="Joins the shards.")
    stability: JobRoute = Field(JobRoute(), description="Scores hulls.")
    density: JobRoute = Field(JobRoute(), description="Relaxes measured crystals.")
    scaling_law: JobRoute = Field(JobRoute(), description="Fits power laws.")
    results: JobRoute = Field(JobRoute(), description="Gathers the results.")
    labelling: JobRoute = Field(JobRoute(), description="Runs VASP on a structure.")


#: Kinds of jobs that predict with the network or train it.
GPU_JOBS = frozenset(
    {"atom_refs", "alignment", "fine_tuning", "evaluation", "relaxation", "density"}
)


class Machine(Record):
    """The workers of a cluster, and the jobs each of them runs."""

    categories: dict[str, Resources] = Field(
        {CPU_CATEGORY: Resources(), GPU_CATEGORY: Resources()},
        description="Kinds of workers, each with what its jobs ask for by default.",
    )
    jobs: JobRoutes = Field(JobRoutes(), description="Where every kind of job goes.")

    @model_validator(mode="after")
    def _send_jobs_where_workers_are(self) -> Self:
        """Refuse a category that is not among those of the file."""
        for kind in JobRoutes.model_fields:
            category = self.route(kind).category
            if category not in self.categories:
                raise ValueError(
                    f"jobs.{kind}: expected a category among "
                    f"{', '.join(self.categories)}, got {category}"
                )
        return self

    def route(self, kind: str) -> JobRoute:
        """Say where a kind of job goes, the defaults of its category filled in.

        Parameters
        ----------
        kind : str
            Field of :class:`.JobRoutes`.

        Returns
        -------
        JobRoute
            Its category and resources.
        """
        chosen: JobRoute = getattr(self.jobs, kind)
        category = chosen.category or (
            GPU_CATEGORY if kind in GPU_JOBS else CPU_CATEGORY
        )
        general = self.categories.get(category, Resources())
        own: dict[str, Any] = chosen.model_dump(exclude_none=True)
        return JobRoute(**general.model_dump() | own | {"category": category})


class Cluster(StrEnum):
    """What a configuration folder is for."""

    ONE_MACHINE = "one_machine"
    SLURM = "slurm"


#: What may stand in a shell script and in YAML without quotes.
PLAIN = r"^[A-Za-z0-9_./@+~:-]+$"


class Site(Record):
    """What differs between two clusters of the same kind."""

    host: str = Field("localhost", pattern=PLAIN, description="Host of MongoDB.")
    port: int = Field(27017, ge=1, le=65535, description="Port of MongoDB.")
    database: str = Field(
        "nextrung",
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Database of documents.",
    )
    launchpad_database: str = Field(
        pattern=r"^[A-Za-z0-9_-]+$", description="Database of the LaunchPad."
    )
    auth_database: str = Field(
        "admin", pattern=r"^[A-Za-z0-9_-]+$", description="Database of the user."
    )
    user: str = Field("nextrung", pattern=PLAIN, description="User of MongoDB.")
    config: str = Field(pattern=PLAIN, description="The folder itself.")
    root: str = Field(pattern=PLAIN, description="Folder of artifacts, shared.")
    data: str = Field(pattern=PLAIN, description="Folder of data sets.")
    environment: str = Field(pattern=PLAIN, description="Python environment.")
    cpu_partition: str = Field("cpu", pattern=PLAIN, description="Without GPUs.")
    gpu_partition: str = Field("gpu", pattern=PLAIN, description="With GPUs.")
    account: str = Field("null", pattern=PLAIN, description="Account of Slurm.")
    gpus: int = Field(1, ge=1, description="GPUs of a node, and of a pilot job.")
    cpus: int = Field(8, ge=1, description="Cores of each process of a pilot job.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def node_cpus(self) -> int:
        """Cores of all processes of a pilot job."""
        return self.gpus * self.cpus
