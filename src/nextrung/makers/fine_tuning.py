"""Jobs that make the models of a study from the source potential."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from nextrung.adapters.files.artifacts import hash_file, store_artifact
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import (
    provenance,
    report_progress,
    task_job,
    work_folder,
)
from nextrung.potentials.atom_refs import prepare_start, validate_recipe
from nextrung.potentials.registry import find_files, load_potential
from nextrung.schemas.fine_tuning import (
    EpochRecord,
    FineTuningDoc,
    FineTuningSettings,
    UnusableFrame,
)
from nextrung.schemas.models import RECIPES, Model, NamedRecipe, find_recipe
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from nextrung.potentials.potential import Potential
    from nextrung.schemas.atom_refs import AtomRefDoc
    from nextrung.schemas.base import Artifact
    from nextrung.schemas.dataset import DatasetDoc


@dataclass(kw_only=True)
class SourceMaker(StageMaker):
    """Store the source potential of a study.

    Parameters
    ----------
    name : str
        Name of the job.
    potential : str
        Name of a shipped potential, or a checkpoint file.
    """

    algorithm: ClassVar[int] = 1

    name: str = "load"
    potential: str = "chgnet-0.3.0"

    def digest_files(self) -> str:
        """Hash the files of the source."""
        return " ".join(map(hash_file, find_files(self.potential)))

    @task_job(output_schema=FineTuningDoc)
    def make(self) -> FineTuningDoc:
        """Store the unchanged source potential as a model of the study."""
        return _store_unchanged(self.potential, Model.SOURCE)


@dataclass(kw_only=True)
class FinishedMaker(StageMaker):
    """Store a finished potential that is scored beside the models of a study.

    Parameters
    ----------
    name : str
        Name of the job.
    potential : str
        Name of a potential, or a checkpoint file.
    model : str
        Name of its row in tables, documents and files.
    """

    algorithm: ClassVar[int] = 1

    name: str = SourceMaker.name
    potential: str = "chgnet-r2scan"
    model: str = "chgnet-r2scan"

    def digest_files(self) -> str:
        """Hash the files of the potential."""
        return " ".join(map(hash_file, find_files(self.potential)))

    @task_job(output_schema=FineTuningDoc)
    def make(self) -> FineTuningDoc:
        """Store the unchanged potential under the name of its row."""
        return _store_unchanged(self.potential, self.model)


@dataclass(kw_only=True)
class ReReferenceMaker(StageMaker):
    """Replace the atomic reference energies of the source, without training.

    Parameters
    ----------
    name : str
        Name of the job.
    model : Model or NamedRecipe
        Row of the table of recipes, or a recipe with a name of its own.
    """

    algorithm: ClassVar[int] = 1

    name: str = "re-reference"
    model: Model | NamedRecipe = Model.SOURCE_REFIT

    @task_job(output_schema=FineTuningDoc)
    def make(
        self, dataset: DatasetDoc, source: FineTuningDoc, atom_refs: AtomRefDoc
    ) -> FineTuningDoc:
        """Replace the reference energies of the source.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames the energies were fitted to.
        source : FineTuningDoc
            The source potential.
        atom_refs : AtomRefDoc
            Fitted reference energies.
        """
        unmoved = open_potential(source)
        validate_recipe(unmoved, find_recipe(self.model))
        moved = unmoved.with_atom_refs(
            {
                symbol: energy
                for symbol, energy in atom_refs.atom_refs.items()
                if symbol in unmoved.elements
            },
            atom_refs.prior_errors,
        )
        return FineTuningDoc(
            model=str(self.model),
            recipe=find_recipe(self.model),
            settings=None,
            source=source.source,
            family=moved.family,
            functional=dataset.functional,
            checkpoint=_store_checkpoint(moved, str(self.model), dataset.functional),
            elements=sorted(moved.elements),
            provenance=provenance(),
        )


@dataclass(kw_only=True)
class FineTuningMaker(StageMaker):
    """Make one model of a study: re-reference the source, then train it.

    Parameters
    ----------
    name : str
        Name of the job.
    model : Model or NamedRecipe
        Row of the table of recipes, or one of its own, that trains something.
    settings : FineTuningSettings
        Settings of the training.
    """

    algorithm: ClassVar[int] = 1

    name: str = "fine tune"
    model: Model | NamedRecipe = Model.REFITTED_ATOM_REFS
    settings: FineTuningSettings = field(default_factory=FineTuningSettings)

    @task_job(output_schema=FineTuningDoc)
    def make(
        self, dataset: DatasetDoc, source: FineTuningDoc, atom_refs: AtomRefDoc | None
    ) -> FineTuningDoc:
        """Train the model from the source.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames with target labels.
        source : FineTuningDoc
            The source potential.
        atom_refs : AtomRefDoc or None
            Fitted reference energies; None where the recipe keeps those of the source.
        """
        from nextrung.potentials.training.fine_tuning import (  # noqa: PLC0415 - loads Lightning
            fine_tune,
        )

        recipe = find_recipe(self.model)
        report_progress(0, self.settings.epochs, "first epoch")
        result = fine_tune(
            prepare_start(
                open_potential(source),
                recipe,
                None if atom_refs is None else atom_refs.atom_refs,
                seed=self.settings.seed,
                prior_errors=None if atom_refs is None else atom_refs.prior_errors,
            ),
            open_frames(dataset),
            self.settings,
            recipe=recipe,
            workdir=work_folder(),
            on_epoch=self._report,
        )
        return FineTuningDoc(
            model=str(self.model),
            recipe=recipe,
            settings=self.settings,
            source=source.source,
            family=result.potential.family,
            functional=dataset.functional,
            checkpoint=_store_checkpoint(
                result.potential, str(self.model), dataset.functional
            ),
            elements=sorted(result.potential.elements),
            n_train_frames=result.n_train_frames,
            n_train_materials=result.n_train_materials,
            best_epoch=result.best_epoch,
            history=result.history,
            gradients=result.gradients,
            unusable_frames=[
                UnusableFrame(frame_id=frame_id, reason=reason)
                for frame_id, reason in result.unusable.items()
            ],
            n_replayed=result.n_replayed,
            n_source_labelled=result.n_source_labelled,
            n_damaged=result.n_damaged,
            provenance=provenance(),
        )

    def _report(self, epoch: EpochRecord) -> None:
        """Report the progress of the training."""
        report_progress(epoch.epoch, self.settings.epochs, describe_epoch(epoch))


def describe_epoch(epoch: EpochRecord) -> str:
    """Format the validation errors of an epoch.

    Parameters
    ----------
    epoch : EpochRecord
        The epoch.

    Returns
    -------
    str
        Errors of the properties that have labels.
    """
    errors = (
        ("E", epoch.val.energy_mae, 1000, "meV/atom"),
        ("F", epoch.val.forces_mae, 1000, "meV/Å"),
        ("S", epoch.val.stress_mae, 1, "GPa"),
    )
    return "  ".join(
        f"{name} {factor * error:.3g} {unit}"
        for name, error, factor, unit in errors
        if error is not None
    )


def _store_unchanged(potential: str, model: str) -> FineTuningDoc:
    """Store a potential as it is."""
    loaded = load_potential(potential, MachineSettings().device)
    return FineTuningDoc(
        model=model,
        recipe=RECIPES[Model.SOURCE],
        settings=None,
        source=potential,
        family=loaded.family,
        functional=loaded.functional,
        checkpoint=_store_checkpoint(loaded, model, loaded.functional),
        elements=sorted(loaded.elements),
        provenance=provenance(),
    )


def _store_checkpoint(potential: Potential, model: str, functional: str) -> Artifact:
    """Save a potential as an artifact, in the format of its architecture."""
    file = work_folder() / f"checkpoint{potential.backend.suffix}"
    potential.save(file, name=str(model), functional=functional)
    return store_artifact(file, "checkpoints")
