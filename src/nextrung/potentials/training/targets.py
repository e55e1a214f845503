"""Targets of a training: labels, predictions of the source, replayed structures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.compute.decoration import draw_crystals, list_prototypes, perturb
from nextrung.potentials.potential import Potential
from nextrung.potentials.training.target_marks import TargetMarks
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import ReplayAnchor, TrainingLabels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nextrung.schemas.models import Anchor

#: Elements up to plutonium that MPtrj, the data of the sources, has no frames of.
WITHOUT_DATA: Final = frozenset({"Po", "At", "Rn", "Fr", "Ra"})
#: Atoms of the largest prototype that is replayed.
MAX_ATOMS: Final = 8
#: Force in eV/Å beyond which a crystal is too far from equilibrium to be replayed.
MAX_FORCE: Final = 10.0
#: Crystals drawn per crystal that is wanted; about a third is beyond the force.
OVERSAMPLING: Final = 3
#: Largest component of the random strain, and standard deviation of displacements in Å.
STRAIN: Final = 0.04
DISPLACEMENT: Final = 0.05


@dataclass(frozen=True, eq=False)
class Targets:
    """Training frames with the targets of the loss.

    Parameters
    ----------
    frames : Frames
        Training frames; labels that are not trained on are NaN.
    replayed : Frames
        Structures with predictions of the source.
    replay_weight : float
        Weight of a replayed structure relative to a training frame.
    n_source_labelled : int
        Training frames whose forces and stresses are predictions of the source.
    """

    frames: Frames
    replayed: Frames
    replay_weight: float = 1.0
    n_source_labelled: int = 0

    @property
    def marks(self) -> TargetMarks | None:
        """Marks of training frames and replayed ones; None where all are labels."""
        n_given, n_replayed = len(self.frames), len(self.replayed)
        if not n_replayed and not self.n_source_labelled:
            return None
        are_labels = np.ones((n_given + n_replayed, 4), dtype=bool)
        are_labels[n_given:] = False
        if self.n_source_labelled:
            are_labels[:, 1:] = False
        weights = np.repeat([1.0, self.replay_weight], [n_given, n_replayed])
        return TargetMarks(weights, are_labels)


def choose_targets(
    train: Frames,
    kind: TrainingLabels,
    anchor: Anchor | None,
    *,
    start: Potential,
    seed: int,
) -> Targets:
    """Choose the targets of training frames, and the structures to replay.

    Parameters
    ----------
    train : Frames
        Training frames with their labels.
    kind : TrainingLabels
        Labels to train on.
    anchor : L2Anchor, ReplayAnchor or None
        A replay anchor has structures to replay.
    start : Potential
        Initial potential: the source with the references of the training, so that the
        energies that it predicts have those references too.
    seed : int
        Seed of the replayed structures.
    """
    targets = _LABELS[kind](train, start)
    if not isinstance(anchor, ReplayAnchor):
        return targets
    n_wanted = max(1, round(anchor.fraction * len(train)))
    replayed = draw_replayed(start, n_wanted, seed=seed)
    return replace(targets, replayed=replayed, replay_weight=anchor.weight)


def draw_replayed(start: Potential, n_wanted: int, *, seed: int) -> Frames:
    """Draw crystals of any elements, and predict their energies, forces and stresses.

    Parameters
    ----------
    start : Potential
        Potential that predicts; where an element has no reference, its energy is that
        of the network alone, which the training starts from too.
    n_wanted : int
        Number of crystals.
    seed : int
        Seed of prototypes, elements and perturbations.

    Returns
    -------
    Frames
        Perturbed prototypes; fewer than wanted where too many are far from equilibrium.
    """
    rng = np.random.default_rng([seed, 2])
    crystals = draw_crystals(
        list_prototypes(MAX_ATOMS),
        sorted(start.backend.known_elements - WITHOUT_DATA),
        OVERSAMPLING * n_wanted,
        rng=rng,
    )
    frames = Frames.from_structures(
        [
            perturb(crystal, strain=STRAIN, displacement=DISPLACEMENT, rng=rng)
            for crystal in crystals.values()
        ],
        [f"replay {index} {name}" for index, name in enumerate(crystals)],
    )
    backend = start.backend
    every = Potential(backend, start.name, backend.known_elements)
    predicted, _ = every.predict_frames(frames, "efs")
    largest = np.zeros(len(frames))
    np.maximum.at(
        largest, frames.frame_of_site, np.linalg.norm(predicted.forces, axis=1)
    )
    usable = np.isfinite(predicted.energies) & (largest <= MAX_FORCE)
    return predicted[np.flatnonzero(usable)[:n_wanted]]


def _keep_labels(train: Frames, _: Potential) -> Targets:
    """Train on all labels there are."""
    return Targets(train, train[:0])


def _keep_energies(train: Frames, _: Potential) -> Targets:
    """Train on energies alone."""
    return Targets(
        replace(
            train,
            forces=np.full_like(train.forces, np.nan),
            stresses=np.full_like(train.stresses, np.nan),
            magmoms=np.full_like(train.magmoms, np.nan),
        ),
        train[:0],
    )


def _add_source_forces(train: Frames, start: Potential) -> Targets:
    """Train on energies, and on forces and stresses of the source."""
    predicted, _ = start.predict_frames(train, "efs")
    energies = _keep_energies(train, start)
    frames = replace(
        energies.frames,
        forces=predicted.forces.astype(np.float32),
        stresses=predicted.stresses.astype(np.float32),
    )
    return replace(energies, frames=frames, n_source_labelled=len(train))


#: Choice of the targets by the kind of labels that are trained on.
_LABELS: Mapping[TrainingLabels, Callable[[Frames, Potential], Targets]] = {
    TrainingLabels.AS_GIVEN: _keep_labels,
    TrainingLabels.ENERGIES: _keep_energies,
    TrainingLabels.ENERGIES_SOURCE_FORCES: _add_source_forces,
}
