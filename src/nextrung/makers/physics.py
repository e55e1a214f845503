"""Job that tests the potential energy surface of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.crystals.elastic_crystals import (
    digest_elastic_crystals,
    read_elastic_crystals,
)
from nextrung.adapters.files.crystals.experimental_crystals import (
    read_embedded_crystals,
)
from nextrung.adapters.files.relaxation_table import read_relaxations
from nextrung.compute.physics.fidelity import find_relaxed_labels
from nextrung.compute.physics.scores import score_physics
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, report_progress, task_job
from nextrung.potentials.physics.runner import (
    compare_potentials,
    compare_with_labels,
    run_physics_tests,
)
from nextrung.schemas.physics import PhysicsDoc, PhysicsSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.physics import (
        FidelityErrors,
        ForgettingErrors,
        PhysicsScore,
    )
    from nextrung.schemas.relaxation import RelaxationDoc


@dataclass(kw_only=True)
class PhysicsMaker(StageMaker):
    """Test elasticity, phonons, repulsion, dynamics, forgetting and fidelity.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : PhysicsSettings
        Crystals, tests, and the ranges in which they pass.
    """

    algorithm: ClassVar[int] = 1

    name: str = "test physics"
    settings: PhysicsSettings = field(default_factory=PhysicsSettings)

    def digest_files(self) -> str:
        """Hash the crystals and their elastic constants."""
        return digest_elastic_crystals()

    @task_job(output_schema=PhysicsDoc, data="rows")
    def make(
        self,
        model: FineTuningDoc,
        *,
        source: FineTuningDoc | None = None,
        dataset: DatasetDoc | None = None,
        relaxation: RelaxationDoc | None = None,
    ) -> PhysicsDoc:
        """Test a model.

        Parameters
        ----------
        model : FineTuningDoc
            The model to test.
        source : FineTuningDoc, optional
            Its source, for the forgetting.
        dataset : DatasetDoc, optional
            Labels, for the fidelity.
        relaxation : RelaxationDoc, optional
            The materials of the data set relaxed by the model, for the fidelity.
        """
        potential = open_potential(model)
        score, forgetting = score_potential(
            potential,
            self.settings,
            source=None if source is None else open_potential(source),
            on_crystal=report_progress,
        )
        return PhysicsDoc(
            model=model.model,
            labels=model.functional,
            settings=self.settings,
            **dict(score),
            forgetting=forgetting,
            fidelity=self._score_fidelity(dataset, relaxation)
            if dataset and relaxation
            else {},
            provenance=provenance(),
        )

    def _score_fidelity(
        self, dataset: DatasetDoc, relaxation: RelaxationDoc
    ) -> dict[str, FidelityErrors]:
        """Compare relaxed structures with relaxed labels."""
        if self.settings.fidelity is None:
            return {}
        frames = open_frames(dataset)
        chosen = find_relaxed_labels(frames, self.settings.fidelity.label_fmax)
        records = read_relaxations(artifact_path(relaxation.records))
        return compare_with_labels(frames[chosen], records)


def score_potential(
    potential: Potential,
    settings: PhysicsSettings,
    *,
    source: Potential | None = None,
    on_crystal: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[PhysicsScore, ForgettingErrors | None]:
    """Test a potential, and compare it with its source.

    Parameters
    ----------
    potential : Potential
        Potential to test.
    settings : PhysicsSettings
        Crystals, tests, and the ranges in which they pass.
    source : Potential, optional
        Potential that it was made from, for the forgetting.
    on_crystal : callable
        Called with the number of finished crystals, and of all.

    Returns
    -------
    score : PhysicsScore
        Every number, and whether it passes.
    forgetting : ForgettingErrors or None
        Deviation from the source; None without a source or settings for it.
    """
    crystals = read_elastic_crystals(settings.crystals)
    records = run_physics_tests(
        potential,
        crystals,
        settings,
        on_crystal=lambda done: on_crystal(done, len(crystals)),
    )
    score = score_physics(records)
    if source is None or settings.forgetting is None:
        return score, None
    measured = [crystal.structure for crystal in read_embedded_crystals()]
    return score, compare_potentials(
        potential, source, measured, settings=settings.forgetting
    )
