"""Filter of runs and frames by the curation rules, part by part."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.curation.identities import IdentityCounter
from nextrung.compute.curation.label_units import choose_strained, validate_stress_unit
from nextrung.compute.curation.materials import MaterialCollector, validate_elements
from nextrung.compute.curation.mp2020_corrections import correct, find_mp2020_correction
from nextrung.compute.curation.rules import check_frames
from nextrung.compute.curation.runs import (
    check_energy_scale,
    check_primary_task,
    check_run,
    count_skipped,
    explain_uncorrectable,
    has_vasp_energies,
)
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import (
    CorrectionScheme,
    MissingInput,
    Rejection,
    Rule,
)
from nextrung.schemas.labels.sources import DistilledSource, VaspSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.dataset import DatasetSettings
    from nextrung.schemas.labels.curation import CurationSettings
    from nextrung.schemas.labels.trajectory import Trajectory

#: Number of stresses that are compared with a potential.
N_STRAINED = 16

#: Approximate frames per part; a part ends with a material.
PART_SIZE = 4096


class FrameFilter:
    """Filter of frames by all rules except the one on duplicates.

    Parameters
    ----------
    settings : DatasetSettings
        Source and curation of the frames.

    Attributes
    ----------
    materials : MaterialCollector
        Materials of the accepted runs.
    n_skipped : Counter of Rule
        Frames to which a rule could not be applied.
    split_across_parts : set of str
        Materials with accepted frames in several parts.
    n_seen : int
        Frames read, and files or documents that gave none.
    n_runs : int
        Runs read.
    n_unreadable : int
        Files or documents that gave no run.
    identities : IdentityCounter
        How the runs that no rule for runs rejects were calculated.
    corrections : dict of str to float
        Correction of the energies of a material in eV/atom; None where there is none,
        so that its frames are rejected.
    """

    def __init__(self, settings: DatasetSettings) -> None:
        self.settings = settings
        self.materials = MaterialCollector()
        self.identities = IdentityCounter()
        self.n_skipped: Counter[Rule] = Counter()
        self.n_seen = self.n_runs = self.n_unreadable = 0
        self.split_across_parts: set[str] = set()
        self.corrections: dict[str, float | None] = {}
        self._seen: set[str] = set()
        self._names: list[NDArray[np.str_]] = []

    @property
    def names(self) -> NDArray[np.str_]:
        """Names of all accepted frames, shape (n_frames,)."""
        return np.concatenate([np.array([], dtype=np.str_), *self._names])

    def apply(
        self, found: Iterable[Trajectory | Rejection]
    ) -> Iterator[tuple[Frames, list[Rejection]]]:
        """Yield the accepted frames and the rejections of each part.

        Parameters
        ----------
        found : iterable of Trajectory or Rejection
            Runs, and rejections of runs that cannot be read.

        Raises
        ------
        InputError
            If a frame has an element beyond plutonium, lacks the input of a rule that
            the settings do not allow to skip, or the stresses of the first part do not
            have the unit of the source.
        """
        for runs, rejections in _split_into_parts(found):
            self.n_runs += len(runs)
            self.n_unreadable += len(rejections)
            self.n_seen += len(rejections) + sum(len(run.frames) for run in runs)
            accepted_runs = self._filter_runs(runs, rejections)
            self.materials.add(accepted_runs)
            kept = []
            for run in accepted_runs:
                self.identities.add(run)
                frames, rejected = check_frames(run, self.settings.curation)
                kept.append(frames)
                rejections.extend(rejected)
            accepted = Frames.concatenate(kept)
            if not self._names:
                self._check_stresses(accepted)
            self._record_names(accepted)
            yield accepted, rejections

    def _check_stresses(self, frames: Frames) -> None:
        """Compare some stresses with a potential of the functional."""
        curation = self.settings.curation
        name = curation.energy_scale.potentials.get(curation.functional)
        known = isinstance(self.settings.source, DistilledSource | VaspSource)
        if name is None or known:  # their unit is that of their reader
            return
        strained = frames[choose_strained(frames, N_STRAINED)]
        if len(strained):
            predicted, _ = load_potential(name).predict_frames(strained, "es")
            validate_stress_unit(strained.stresses, predicted.stresses)

    def _record_names(self, frames: Frames) -> None:
        """Record names of frames, and materials that were in an earlier part."""
        names = set(frames.material_ids.tolist())
        self.split_across_parts |= names & self._seen
        self._seen |= names
        self._names.append(frames.frame_ids)

    def _filter_runs(
        self, runs: Sequence[Trajectory], rejections: list[Rejection]
    ) -> list[Trajectory]:
        """Return the accepted runs; add the others to the rejections."""
        curation = self.settings.curation
        for run in runs:
            validate_elements(run.frames)
        rejected = [check_run(run, curation) for run in runs]
        self.materials.add_energies(runs, rejected)
        kept = _drop_rejected(runs, rejected, rejections)
        for run in kept:
            self._count_skipped(run)
        rejected = [check_primary_task(run, curation) for run in kept]
        kept = _drop_rejected(kept, rejected, rejections)
        if isinstance(self.settings.source, DistilledSource):
            return kept
        rejected = _check_energy_scales(kept, curation)
        return self._correct(_drop_rejected(kept, rejected, rejections), rejections)

    def _correct(
        self, runs: Sequence[Trajectory], rejections: list[Rejection]
    ) -> list[Trajectory]:
        """Correct the energies of runs, with one correction per material."""
        if self.settings.curation.corrections is CorrectionScheme.NONE:
            return list(runs)
        corrected = []
        for run in runs:
            name = run.material_id
            if name not in self.corrections and has_vasp_energies(run):
                self.corrections[name] = find_mp2020_correction(run)
            if (correction := self.corrections.get(name)) is not None:
                corrected.append(correct(run, correction))
                continue
            reason = explain_uncorrectable(run)
            rejections.extend(Rejection.of(run.frames, Rule.UNCORRECTABLE, reason))
        return corrected

    def _count_skipped(self, run: Trajectory) -> None:
        """Count the frames to which a rule cannot be applied, or raise."""
        skipped = count_skipped(run, self.settings.curation)
        inputs = {
            Rule.PRIMARY_TASK: "a primary task",
            Rule.ENERGY_WINDOW: "a relaxed energy",
        }
        rule = next(filter(inputs.__contains__, skipped), None)
        if rule and self.settings.curation.missing_input is MissingInput.STOP:
            raise InputError(
                f"frame {run.frames.frame_ids[0]}: expected {inputs[rule]} to compare "
                f"with, got none (curation.missing_input is stop)"
            )
        self.n_skipped.update(skipped)


def _split_into_parts(
    found: Iterable[Trajectory | Rejection],
) -> Iterator[tuple[list[Trajectory], list[Rejection]]]:
    """Split a stream into parts at the end of a material."""
    runs: list[Trajectory] = []
    rejections: list[Rejection] = []
    n_frames = 0
    for item in found:
        if isinstance(item, Rejection):
            rejections.append(item)
            continue
        if n_frames >= PART_SIZE and item.material_id != runs[-1].material_id:
            yield runs, rejections
            runs, rejections, n_frames = [], [], 0
        runs.append(item)
        n_frames += len(item.frames)
    yield runs, rejections


def _drop_rejected(
    runs: Sequence[Trajectory],
    rejected: Sequence[Sequence[Rejection]],
    rejections: list[Rejection],
) -> list[Trajectory]:
    """Return the runs without rejected frames; collect the rejections."""
    rejections.extend(chain.from_iterable(rejected))
    return [run for run, found in zip(runs, rejected, strict=True) if not found]


def _check_energy_scales(
    runs: Sequence[Trajectory], settings: CurationSettings
) -> list[list[Rejection]]:
    """Compare the final energy of every run with a potential of its functional."""
    name = settings.energy_scale.potentials.get(settings.functional)
    comparable = [run for run in runs if has_vasp_energies(run)]
    if name is None or not comparable:
        return [[] for _ in runs]
    final = Frames.concatenate([run.frames[-1:] for run in comparable])
    energies = iter(load_potential(name).predict_frames(final, "e")[0].energies)
    return [
        check_energy_scale(run, float(next(energies)), settings)
        if has_vasp_energies(run)
        else []
        for run in runs
    ]
