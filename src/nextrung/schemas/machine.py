"""Which worker of a cluster runs which job, and what the job asks of the queue."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from nextrung.schemas.base import Record

#: Category of jobs that predict with the network or train it, where none is chosen.
GPU_CATEGORY = "gpu"

#: Category of all other jobs, where none is chosen.
CPU_CATEGORY = "cpu"


class Resources(Record):
    """What a job asks of the queue; what is null is left to the worker's own file."""

    walltime: str | None = Field(
        None,
        pattern=r"^(\d+-)?\d{1,2}:\d{2}:\d{2}$",
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
                    f"{', '.join(self.categories)}, met {category}"
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
