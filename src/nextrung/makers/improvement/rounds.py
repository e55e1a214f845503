"""Job that scores the models of a round and chooses the structures of the next."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.frames import read_frames, write_frames
from nextrung.compute.improvement import (
    count_atoms,
    decide_stop,
    describe_structures,
)
from nextrung.compute.intervals import collect_errors
from nextrung.compute.intervals.means import find_interval
from nextrung.compute.intervals.resampling import Sample
from nextrung.compute.scaling_law import Curve, is_out_of_reach
from nextrung.compute.selection import Pool, select_candidates
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job, work_folder
from nextrung.schemas.base import InputError
from nextrung.schemas.improvement import (
    ChosenCandidate,
    CommitteeMember,
    ImprovementDoc,
    ImprovementRound,
    ImprovementSettings,
    LabelledDatasetDoc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.compute.intervals import Errors
    from nextrung.compute.selection import Choice
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.evaluation import EvaluationDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.improvement import PoolDoc


@dataclass(kw_only=True)
class RoundMaker(StageMaker):
    """Score the models of a round, and choose the structures to label next.

    Parameters
    ----------
    name : str
        Name of the job.
    study : str
        Name of the study.
    settings : ImprovementSettings
        Settings of the loop.
    """

    algorithm: ClassVar[int] = 1

    name: str = "score round"
    study: str = "study"
    settings: ImprovementSettings = field(default_factory=ImprovementSettings)

    @task_job(output_schema=ImprovementDoc)
    def make(
        self,
        pool: PoolDoc,
        dataset: DatasetDoc,
        *,
        models: list[FineTuningDoc],
        evaluations: list[EvaluationDoc],
        previous: ImprovementDoc | None,
    ) -> ImprovementDoc:
        """Compute the error of a round, decide whether the loop ends, and choose.

        Parameters
        ----------
        pool : PoolDoc
            Structures that can be chosen.
        dataset : DatasetDoc
            Data set of the round.
        models : list of FineTuningDoc
            Members of the committee.
        evaluations : list of EvaluationDoc
            Errors of each member on the held-out split.
        previous : ImprovementDoc or None
            Rounds so far; None in round 0.
        """
        frames = open_frames(dataset)
        rounds = [] if previous is None else previous.rounds
        taken = {each.frame_id for done in rounds for each in done.chosen}
        left = read_frames(artifact_path(pool.candidates))
        left = left[~np.isin(left.frame_ids, [*taken])]
        committee = _ask_committee(models, left, frames.split("train"))
        scored = _score(
            self.settings,
            frames,
            evaluations,
            seeds=[each.settings.seed if each.settings else None for each in models],
            dataset=dataset,
            rounds=rounds,
        ).model_copy(
            update={
                "n_candidates": len(left),
                "n_unpredictable": int(committee.unpredictable.sum()),
            }
        )
        stop, reason = decide_stop(
            scored,
            self.settings,
            out_of_reach=_is_out_of_reach([*rounds, scored], self.settings),
        )
        batch = None
        if stop is None:
            train = frames.split("train")
            chosen = _choose(self.settings, scored, committee, train=train)
            scored = scored.model_copy(update={"chosen": _describe(chosen, committee)})
            file = work_folder() / "batch.parquet"
            write_frames(committee.candidates[[each.index for each in chosen]], file)
            batch = store_artifact(file, "batches")
        return ImprovementDoc(
            study=self.study,
            settings=self.settings,
            labels=dataset.labels,
            held_out=_hash_held_out(frames.split(self.settings.split)),
            rounds=[*rounds, _add_time(scored, [dataset, *models, *evaluations])],
            n_structures=pool.n_structures,
            n_held_out_structures=pool.n_held_out,
            batch=batch,
            stop=stop,
            reason=reason,
            provenance=provenance(),
        )


@dataclass(frozen=True, eq=False)
class Committee:
    """Structures to choose from, and how far the members of a committee disagree.

    Parameters
    ----------
    candidates : Frames
        Structures that can be chosen.
    disagreement : ndarray of float, shape (n,)
        Standard deviation of the energies in eV/atom; 0 with one member or no
        prediction.
    force_disagreement : ndarray of float, shape (n,)
        Largest standard deviation of the force on an atom in eV/Å; NaN where unknown.
    unpredictable : ndarray of bool, shape (n_left,)
        Which of the structures left are no candidates, for want of a prediction though
        every element is labelled.
    """

    candidates: Frames
    disagreement: NDArray[np.float64]
    force_disagreement: NDArray[np.float64]
    unpredictable: NDArray[np.bool_]


def _ask_committee(
    models: Sequence[FineTuningDoc], left: Frames, train: Frames
) -> Committee:
    """Predict the structures that are left with every member."""
    predicted = [
        open_potential(model).predict_frames(left, "ef")[0] for model in models
    ]
    energies = np.array([each.energies for each in predicted]) / left.n_atoms
    known = np.isfinite(energies).all(axis=0)
    new = ~np.isin(left.atomic_numbers, train.atomic_numbers)
    has_new = np.bincount(left.frame_of_site[new], minlength=len(left)) > 0
    usable = known | has_new
    spread = np.zeros(len(left))
    force_spread = np.full(len(left), np.nan)
    if len(models) > 1 and len(left):
        spread[known] = energies[:, known].std(axis=0, ddof=1)
        forces = np.array([each.forces for each in predicted], dtype=np.float64)
        of_atom = np.sqrt(forces.var(axis=0, ddof=1).sum(axis=1))
        force_spread = np.fmax.reduceat(of_atom, left.offsets[:-1])
    return Committee(left[usable], spread[usable], force_spread[usable], ~usable)


def _score(
    settings: ImprovementSettings,
    frames: Frames,
    evaluations: Sequence[EvaluationDoc],
    *,
    seeds: Sequence[int | None],
    dataset: DatasetDoc,
    rounds: Sequence[ImprovementRound],
) -> ImprovementRound:
    """Compute the errors of the members and of their mean, with its interval."""
    errors = [_collect(evaluation, settings.split) for evaluation in evaluations]
    outcomes = dataset.outcomes if isinstance(dataset, LabelledDatasetDoc) else []
    interval = find_interval(
        Sample.of(
            np.concatenate([each.values for each in errors]),
            np.concatenate([each.material_ids for each in errors]),
            repeat_ids=np.repeat(
                [str(number) for number in range(len(errors))],
                [len(each) for each in errors],
            ),
        )
    )
    before = rounds[-1] if rounds else None
    train = frames.split("train")
    return ImprovementRound(
        number=len(rounds),
        labels=outcomes,
        n_labels=(before.n_labels if before else 0) + len(outcomes),
        n_failed=(before.n_failed if before else 0)
        + sum(each.error is not None for each in outcomes),
        n_train_frames=len(train),
        n_train_materials=len(set(train.material_ids.tolist())),
        members=[
            CommitteeMember(
                seed=seed,
                energy_mae=each.mean,
                forces_mae=evaluation.metrics[settings.split].forces_mae,
                n_failed=evaluation.metrics[settings.split].n_failed,
            )
            for seed, evaluation, each in zip(seeds, evaluations, errors, strict=True)
        ],
        energy_mae=float(np.mean([each.mean for each in errors])),
        low=interval and interval[0],
        high=interval and interval[1],
        n_held_out_frames=len({name for each in errors for name in each.names}),
        n_held_out_materials=len(
            {name for each in errors for name in each.material_ids}
        ),
        n_candidates=0,
        chosen=[],
        wall_time=0.0,
    )


def _collect(evaluation: EvaluationDoc, split: str) -> Errors:
    """Collect the energy errors of a member on the held-out split."""
    errors = collect_errors(evaluation).get(split, {}).get("energy")
    if errors is None:
        raise InputError(
            f"expected energy labels in the {split} split that {evaluation.model} can "
            "predict, got none"
        )
    return errors


def _is_out_of_reach(
    rounds: Sequence[ImprovementRound], settings: ImprovementSettings
) -> bool:
    """Check whether the power law through all rounds misses the target."""
    last = rounds[-1]
    curve = Curve(
        sizes=np.array([each.n_train_frames for each in rounds], dtype=np.float64),
        errors=np.array([each.energy_mae for each in rounds]),
    )
    most = last.n_train_frames + settings.budget - last.n_labels
    return is_out_of_reach(curve, settings.target, most)


def _choose(
    settings: ImprovementSettings,
    scored: ImprovementRound,
    committee: Committee,
    *,
    train: Frames,
) -> list[Choice]:
    """Choose the structures of the next round."""
    pool = Pool(
        counts=count_atoms(committee.candidates),
        disagreement=committee.disagreement,
        features=describe_structures(committee.candidates),
    )
    return select_candidates(
        pool,
        count_atoms(train),
        describe_structures(train),
        n=min(settings.batch, settings.budget - scored.n_labels),
        strategy=settings.strategy,
        rng=np.random.default_rng([settings.seed, scored.number]),
    )


def _describe(chosen: Sequence[Choice], committee: Committee) -> list[ChosenCandidate]:
    """Describe the chosen structures and the numbers that they were chosen by."""
    candidates = committee.candidates
    formulas = [each.reduced_formula for each in candidates.compositions()]
    return [
        ChosenCandidate(
            rank=rank,
            frame_id=str(candidates.frame_ids[each.index]),
            material_id=str(candidates.material_ids[each.index]),
            formula=formulas[each.index],
            n_atoms=int(candidates.n_atoms[each.index]),
            leverage=each.leverage,
            disagreement=each.disagreement,
            force_disagreement=_finite(committee.force_disagreement[each.index]),
            distance=_finite(each.distance),
            expected_gain=_finite(each.expected_gain),
        )
        for rank, each in enumerate(chosen, start=1)
    ]


def _finite(value: float) -> float | None:
    """Return a finite number, or None."""
    return float(value) if math.isfinite(value) else None


def _hash_held_out(frames: Frames) -> str:
    """Hash ids and energies of the held-out frames."""
    digest = hashlib.sha256()
    for name, energy in zip(frames.frame_ids, frames.energies, strict=True):
        digest.update(f"{name}\0{energy:.6f}\n".encode())
    return digest.hexdigest()


def _add_time(
    scored: ImprovementRound,
    documents: Sequence[DatasetDoc | FineTuningDoc | EvaluationDoc],
) -> ImprovementRound:
    """Add the duration of the jobs of a round."""
    before = sum(each.provenance.wall_time for each in documents)
    return scored.model_copy(update={"wall_time": before + provenance().wall_time})
