"""Job that compares the energies of the source and the target functional."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nextrung.adapters.sources.registry import name_labels, read_labels, source_digest
from nextrung.compute.alignment import (
    correlate,
    locate_corrections,
    pair_frames,
    score_alignment,
    subtract_references,
)
from nextrung.compute.atom_refs import fit_atom_refs
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.potentials.atom_refs import require_atom_refs
from nextrung.potentials.registry import load_potential
from nextrung.schemas.alignment import (
    AlignmentCorrections,
    AlignmentDoc,
    AlignmentSettings,
    SourceCounts,
    SourceEnergies,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Rereference

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nextrung.adapters.sources.registry import ReadLabels
    from nextrung.schemas.atom_refs import AtomRefDoc
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.identity import IdentitySummary
    from nextrung.schemas.labels.sources import Source


@dataclass(frozen=True, eq=False)
class _Compared:
    """Frames with energies of both functionals, and the references of the source."""

    target: Frames
    source: Frames
    name: str
    kind: SourceEnergies
    references: Mapping[str, float]
    referenced: str
    counts: SourceCounts | None = None


@dataclass(kw_only=True)
class AlignmentMaker(StageMaker):
    """Correlate source and target energies before and after re-referencing.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : AlignmentSettings
        Energies to compare, and settings of the regression of their differences.
    """

    algorithm: ClassVar[int] = 1

    name: str = "align functionals"
    settings: AlignmentSettings = field(default_factory=AlignmentSettings)

    def digest_files(self) -> str:
        """Hash the labels of the source functional, where there are any."""
        return source_digest(self.settings.source) if self.settings.source else ""

    @task_job(output_schema=AlignmentDoc, data="rows")
    def make(
        self,
        dataset: DatasetDoc,
        source: FineTuningDoc,
        atom_refs: dict[str, AtomRefDoc],
    ) -> AlignmentDoc:
        """Compare the labels with energies of the source functional.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames with target labels.
        source : FineTuningDoc
            The source potential; its predictions are compared where the settings name
            no labels of the source functional.
        atom_refs : dict of str to AtomRefDoc
            Reference energies by the kind of fit, ``refit`` and ``residual``.
        """
        refitted = atom_refs[Rereference.REFIT]
        compared = self._compare(dataset, source)
        chosen = self.settings.target_references
        score = score_alignment(
            compared.target,
            compared.source,
            source_refs=compared.references,
            target_refs=_choose_references(chosen, refitted.atom_refs),
            settings=self.settings,
            corrections=self._locate_corrections(compared.kind, source.functional),
        )
        fitted = f"{refitted.settings.kind} to the training split"
        return AlignmentDoc(
            labels=dataset.labels,
            source=compared.name,
            source_energies=compared.kind,
            source_counts=compared.counts,
            references=f"source: {compared.referenced}; target: "
            + (f"those of {chosen}" if chosen else fitted),
            correlation_residual=_correlate_residual(
                compared, atom_refs[Rereference.RESIDUAL].atom_refs
            ),
            settings=self.settings,
            **{name: getattr(score, name) for name in type(score).model_fields},
            provenance=provenance(),
        )

    def _compare(self, dataset: DatasetDoc, source: FineTuningDoc) -> _Compared:
        """Read or predict source energies of the target frames; find references."""
        target = open_frames(dataset)
        chosen = self.settings.source_references
        if self.settings.source is not None:
            read = read_labels(self.settings.source)
            validate_codes(read.codes, dataset.identity)
            return self._pair(target, self.settings.source, read)
        potential = open_potential(source)
        predicted, _ = potential.predict_frames(target, "e")
        return _Compared(
            target=target,
            source=predicted,
            name=source.source,
            kind=SourceEnergies.PREDICTED,
            references=_choose_references(chosen, potential.atom_refs),
            referenced=f"those of {chosen or source.source}",
        )

    def _pair(self, target: Frames, labels: Source, read: ReadLabels) -> _Compared:
        """Pair calculated source energies with the target frames."""
        target, paired = pair_frames(target, read.frames, self.settings.pairing)
        chosen = self.settings.source_references
        known = paired[np.isfinite(paired.energies)]
        unsplit = replace(known, splits=np.full(len(known), ""))
        fitted = {} if chosen else fit_atom_refs(unsplit).energies
        return _Compared(
            target=target,
            source=paired,
            name=name_labels(labels, read.frames.functional),
            kind=SourceEnergies.CALCULATED,
            references=_choose_references(chosen, fitted),
            referenced=f"those of {chosen}" if chosen else "fitted to all of them",
            counts=SourceCounts(
                n_frames=len(read.frames),
                n_paired=len(known),
                n_rejected=read.n_rejected,
            ),
        )

    def _locate_corrections(
        self, energies: SourceEnergies, functional: str
    ) -> AlignmentCorrections:
        """Determine which energies are corrected, by settings or source potential."""
        if self.settings.corrections is not None:
            return self.settings.corrections
        if energies is SourceEnergies.CALCULATED:
            return AlignmentCorrections.NONE
        return locate_corrections(functional)


def validate_codes(codes: Collection[str], dataset: IdentitySummary) -> None:
    """Validate that labels of both functionals are of one code.

    Parameters
    ----------
    codes : collection of str
        Codes of the labels of the source functional; empty where unknown.
    dataset : IdentitySummary
        How the target labels were calculated.

    Raises
    ------
    InputError
        If the codes are known and differ: each has an energy scale of its own.
    """
    target = {each.value for each in dataset.identities if each.field == "code"} - {""}
    if codes and target and set(codes) != target:
        raise InputError(
            f"alignment.source: expected labels of {', '.join(sorted(target))}, as of "
            f"dataset.source, got labels of {', '.join(sorted(codes))}"
        )


def _correlate_residual(
    compared: _Compared, shifted: Mapping[str, float]
) -> float | None:
    """Correlate energies of both functionals, with shifted target references."""
    if compared.kind is SourceEnergies.CALCULATED:
        return None
    left = subtract_references(compared.source, compared.references)
    right = subtract_references(compared.target, shifted)
    known = np.isfinite(left + right)
    return correlate(left[known], right[known])


def _choose_references(
    potential: str | None, fitted: Mapping[str, float]
) -> Mapping[str, float]:
    """Return the references of a potential where one is named, else the fitted ones."""
    if potential is None:
        return fitted
    return require_atom_refs(load_potential(potential, "cpu"))
