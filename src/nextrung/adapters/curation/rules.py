"""The rules on runs and frames, applied part by part."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.curation.materials import MaterialCollector, validate_elements
from nextrung.compute.curation.mp2020_corrections import correct, find_mp2020_correction
from nextrung.compute.curation.rules import check_frames
from nextrung.compute.curation.runs import (
    check_energy_scale,
    check_primary_task,
    check_run,
    count_skipped,
)
from nextrung.compute.curation.stress_scale import choose_strained, validate_stress_unit
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import (
    CorrectionScheme,
    MissingInput,
    Rejection,
    Rule,
)
from nextrung.schemas.labels.sources import DistilledSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.dataset import DatasetSettings
    from nextrung.schemas.labels.curation import CurationSettings
    from nextrung.schemas.labels.trajectory import Trajectory

#: Stresses that are held against a potential.
N_STRAINED = 16

#: Frames that are judged and written together, give or take a material.
PART_SIZE = 4096


class FrameFilter:
    """Applies the rules but the one on duplicates.

    Parameters
    ----------
    settings : DatasetSettings
        Which frames are kept.

    Attributes
    ----------
    materials : MaterialCollector
        Materials of the runs that are wanted.
    n_skipped : Counter of Rule
        Frames that a rule could not frame_filter.
    split_across_parts : set of str
        Materials with good frames in several parts.
    corrections : dict of str to float
        What was added to the energies of a material in eV/atom; None where nothing
        can be, so that its frames are left out.
    """

    def __init__(self, settings: DatasetSettings) -> None:
        self.settings = settings
        self.materials = MaterialCollector()
        self.n_skipped: Counter[Rule] = Counter()
        self.split_across_parts: set[str] = set()
        self.corrections: dict[str, float | None] = {}
        self._seen: set[str] = set()
        self._names: list[NDArray[np.str_]] = []

    @property
    def names(self) -> NDArray[np.str_]:
        """Names of all good frames, shape (n_frames,)."""
        return np.concatenate([np.array([], dtype=np.str_), *self._names])

    def apply(
        self, found: Iterable[Trajectory | Rejection]
    ) -> Iterator[tuple[Frames, list[Rejection]]]:
        """Check runs part by part.

        Parameters
        ----------
        found : iterable of Trajectory or Rejection
            Runs, and why others cannot be read.

        Yields
        ------
        frames : Frames
            Frames that break no rule.
        rejections : list of Rejection
            The others of the part.

        Raises
        ------
        InputError
            If a frame holds an element beyond plutonium, lacks what a rule asks about
            where the settings do not say that the rule is skipped, or the stresses of
            the first part have not the unit that the source says.
        """
        for runs, rejections in _cut(found):
            wanted = self._filter_runs(runs, rejections)
            self.materials.add(wanted)
            kept = []
            for run in wanted:
                frames, broken = check_frames(run, self.settings.curation)
                kept.append(frames)
                rejections.extend(broken)
            good = Frames.concatenate(kept)
            if not self._names:
                self._check_stresses(good)
            self._note(good)
            yield good, rejections

    def _check_stresses(self, good: Frames) -> None:
        """Hold some stresses against a potential of the functional."""
        curation = self.settings.curation
        name = curation.energy_scale.potentials.get(curation.functional)
        if name is None or isinstance(self.settings.source, DistilledSource):
            return
        strained = good[choose_strained(good, N_STRAINED)]
        if len(strained):
            predicted, _ = load_potential(name).predict_frames(strained, "es")
            validate_stress_unit(strained.stresses, predicted.stresses)

    def _note(self, good: Frames) -> None:
        """Note the names of the frames, and materials that were there before."""
        names = set(good.material_ids.tolist())
        self.split_across_parts |= names & self._seen
        self._seen |= names
        self._names.append(good.frame_ids)

    def _filter_runs(
        self, runs: Sequence[Trajectory], rejections: list[Rejection]
    ) -> list[Trajectory]:
        """Keep the runs that are wanted; add the others to the rejections."""
        curation = self.settings.curation
        for run in runs:
            validate_elements(run.frames)
        verdicts = [check_run(run, curation) for run in runs]
        self.materials.add_energies(runs, verdicts)
        kept = _drop_rejected(runs, verdicts, rejections)
        for run in kept:
            self._count_skipped(run)
        verdicts = [check_primary_task(run, curation) for run in kept]
        kept = _drop_rejected(kept, verdicts, rejections)
        if isinstance(self.settings.source, DistilledSource):
            return kept
        verdicts = _check_energy_scales(kept, curation)
        return self._correct(_drop_rejected(kept, verdicts, rejections), rejections)

    def _correct(
        self, runs: Sequence[Trajectory], rejections: list[Rejection]
    ) -> list[Trajectory]:
        """Correct the energies of runs, those of one material alike."""
        if self.settings.curation.corrections is CorrectionScheme.NONE:
            return list(runs)
        corrected = []
        for run in runs:
            name = run.material_id
            if name not in self.corrections:
                self.corrections[name] = find_mp2020_correction(run)
            if (correction := self.corrections[name]) is not None:
                corrected.append(correct(run, correction))
                continue
            got = f"U of {dict(run.hubbard_us)} eV" if run.hubbard_u else "no Hubbard U"
            reason = f"expected the Hubbard U that MP2020 is for, got {got}"
            rejections.extend(Rejection.of(run.frames, Rule.UNCORRECTABLE, reason))
        return corrected

    def _count_skipped(self, run: Trajectory) -> None:
        """Count the frames that a rule cannot frame_filter, or stop."""
        skipped = count_skipped(run, self.settings.curation)
        if skipped and self.settings.curation.missing_input is MissingInput.STOP:
            wanted = {
                Rule.PRIMARY_TASK: "a primary task",
                Rule.ENERGY_WINDOW: "a relaxed energy",
            }
            rule = next(iter(skipped))
            raise InputError(
                f"frame {run.frames.frame_ids[0]}: expected {wanted[rule]} to compare "
                f"with, got none (curation.missing_input is stop)"
            )
        self.n_skipped.update(skipped)


def _cut(
    found: Iterable[Trajectory | Rejection],
) -> Iterator[tuple[list[Trajectory], list[Rejection]]]:
    """Cut a stream into parts where one material ends and another begins."""
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
    verdicts: Sequence[Sequence[Rejection]],
    rejections: list[Rejection],
) -> list[Trajectory]:
    """Keep the runs that have no verdict; add the verdicts to the rejections."""
    rejections.extend(rejection for verdict in verdicts for rejection in verdict)
    return [run for run, verdict in zip(runs, verdicts, strict=True) if not verdict]


def _check_energy_scales(
    runs: Sequence[Trajectory], settings: CurationSettings
) -> list[list[Rejection]]:
    """Hold the final energy of every run against a potential of its functional."""
    name = settings.energy_scale.potentials.get(settings.functional)
    if name is None or not runs:
        return [[] for _ in runs]
    final = Frames.concatenate([run.frames[-1:] for run in runs])
    predicted, _ = load_potential(name).predict_frames(final, "e")
    return [
        check_energy_scale(run, energy, settings)
        for run, energy in zip(runs, predicted.energies.tolist(), strict=True)
    ]
