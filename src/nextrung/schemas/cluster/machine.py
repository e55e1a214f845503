"""Routing of jobs to the workers of a cluster, and the resources they request."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, computed_field, model_validator

from nextrung.schemas.base import Record

#: Default category of jobs that predict with or train a potential.
GPU_CATEGORY = "gpu"

#: Default category of all other jobs.
CPU_CATEGORY = "cpu"


def _format_walltime(value: Any) -> Any:  # noqa: ANN401
    """Format seconds as h:mm:ss: YAML reads an unquoted 24:00:00 as an integer."""
    if not isinstance(value, int):
        return value
    minutes, seconds = divmod(value, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


class Resources(Record):
    """Slurm resources of a job; null keeps the value of the worker's queue adapter."""

    walltime: Annotated[str | None, BeforeValidator(_format_walltime)] = Field(
        None,
        pattern=r"^(\d+-)?\d+:\d{2}:\d{2}$",
        description="Time limit, [days-]hours:minutes:seconds; null keeps the queue "
        "adapter's.",
    )
    memory: str | None = Field(
        None,
        pattern=r"^\d+[KMGT]?$",
        description="Memory per node, such as 16G; null keeps the queue adapter's.",
    )
    cpus: int | None = Field(
        None, ge=1, description="CPU cores; null keeps the queue adapter's."
    )
    gpus: int | None = Field(
        None, ge=0, description="Number of GPUs; null keeps the queue adapter's."
    )


class JobRoute(Resources):
    """Category and resources of one kind of job."""

    category: str | None = Field(
        None,
        description="Category of the workers that run the job; null for `gpu` where "
        "the job predicts or trains, and `cpu` otherwise.",
    )


def _route_of(kind: str) -> Any:  # noqa: ANN401 - pydantic's field
    """Declare the route of a kind of job."""
    return Field(JobRoute(), description=f"Route of {kind}.")


class JobRoutes(Record):
    """Category and resources of every kind of job."""

    dataset: JobRoute = _route_of("the job that reads, curates and splits labels")
    source: JobRoute = _route_of("the job that stores the source potential")
    atom_refs: JobRoute = _route_of("jobs that fit atomic reference energies")
    alignment: JobRoute = _route_of("the job that compares two functionals")
    references: JobRoute = _route_of("jobs that re-reference the source potential")
    fine_tuning: JobRoute = _route_of("jobs that train one model")
    evaluation: JobRoute = _route_of("jobs that compare predictions with labels")
    relaxation_plan: JobRoute = _route_of("jobs that divide materials into shards")
    relaxation: JobRoute = _route_of("jobs that relax one shard of materials")
    relaxation_merge: JobRoute = _route_of("jobs that merge relaxed shards")
    stability: JobRoute = _route_of("jobs that score decomposition energies")
    density: JobRoute = _route_of("jobs that relax experimental crystals")
    physics: JobRoute = _route_of("jobs that test the potential energy surface")
    benchmark: JobRoute = _route_of("jobs that compare a potential with experiment")
    scaling_law: JobRoute = _route_of("the job that fits scaling laws")
    results: JobRoute = _route_of("the job that summarises the study")
    candidates: JobRoute = _route_of("jobs that list the structures of a pool")
    label_addition: JobRoute = _route_of("jobs that add the labels of a round")
    round: JobRoute = _route_of("jobs that score a round and choose structures")
    round_plan: JobRoute = _route_of("jobs that plan the next round")
    labelling: JobRoute = _route_of("jobs that label structures with VASP")
    gpaw_labelling: JobRoute = _route_of("jobs that label structures with GPAW")


#: Kinds of jobs that predict with or train a potential.
GPU_JOBS = frozenset(
    {
        "atom_refs",
        "alignment",
        "fine_tuning",
        "evaluation",
        "relaxation",
        "density",
        "physics",
        "benchmark",
        "label_addition",
        "round",
    }
)


class Machine(Record):
    """Worker categories of a cluster, and the routing of jobs to them."""

    categories: dict[str, Resources] = Field(
        {CPU_CATEGORY: Resources(), GPU_CATEGORY: Resources()},
        description="Categories of workers, each with the default resources of its "
        "jobs.",
    )
    jobs: JobRoutes = Field(
        JobRoutes(), description="Category and resources of every kind of job."
    )

    @model_validator(mode="after")
    def _validate_categories(self) -> Self:
        """Validate that every job goes to a category of the file."""
        for kind in JobRoutes.model_fields:
            category = self.route(kind).category
            if category not in self.categories:
                raise ValueError(
                    f"jobs.{kind}: expected a category among "
                    f"{', '.join(self.categories)}, got {category}"
                )
        return self

    def route(self, kind: str) -> JobRoute:
        """Resolve the route of a kind of job with the defaults of its category.

        Parameters
        ----------
        kind : str
            Field of :class:`.JobRoutes`.
        """
        chosen: JobRoute = getattr(self.jobs, kind)
        category = chosen.category or (
            GPU_CATEGORY if kind in GPU_JOBS else CPU_CATEGORY
        )
        general = self.categories.get(category, Resources())
        own: dict[str, Any] = chosen.model_dump(exclude_none=True)
        return JobRoute(**general.model_dump() | own | {"category": category})


class Cluster(StrEnum):
    """Kind of a configuration folder."""

    ONE_MACHINE = "one_machine"
    SLURM = "slurm"


#: Characters that need no quotes in a shell script or in YAML.
PLAIN = r"^[A-Za-z0-9_./@+~:-]+$"

#: Host name or address; a URI, which may hold a password, is none.
HOST = r"^[A-Za-z0-9_.:-]+$"


class Site(Record):
    """Values that fill the templates of a configuration folder."""

    cluster: Cluster = Field(Cluster.SLURM, description="Kind of the folder.")
    host: str = Field("localhost", pattern=HOST, description="Host of MongoDB.")
    port: int = Field(27017, ge=1, le=65535, description="Port of MongoDB.")
    bind: str = Field(
        "127.0.0.1",
        pattern=r"^[0-9.]+$",
        description="IPv4 address at which the MongoDB of docker-compose.yaml listens.",
    )
    database: str = Field(
        "nextrung", pattern=r"^[A-Za-z0-9_-]+$", description="Database of results."
    )
    launchpad_database: str = Field(
        pattern=r"^[A-Za-z0-9_-]+$", description="Database of the FireWorks LaunchPad."
    )
    auth_database: str = Field(
        "admin", pattern=r"^[A-Za-z0-9_-]+$", description="Authentication database."
    )
    user: str = Field("nextrung", pattern=PLAIN, description="MongoDB user.")
    config: str = Field(pattern=PLAIN, description="Path of this configuration folder.")
    root: str = Field(pattern=PLAIN, description="Artifacts folder.")
    data: str = Field(pattern=PLAIN, description="Data-set folder.")
    environment: str = Field(pattern=PLAIN, description="Python environment.")
    cpu_partition: str = Field("cpu", pattern=PLAIN, description="CPU partition.")
    gpu_partition: str = Field("gpu", pattern=PLAIN, description="GPU partition.")
    account: str = Field("null", pattern=PLAIN, description="Slurm account.")
    gpus: int = Field(1, ge=1, description="GPUs per node and pilot job.")
    cpus: int = Field(8, ge=1, description="Cores per process of a pilot job.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def node_cpus(self) -> int:
        """Total number of cores of a pilot job."""
        return self.gpus * self.cpus
