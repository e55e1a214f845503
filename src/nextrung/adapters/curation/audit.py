"""Audit of the labels of a source: how they were calculated, which do not fit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nextrung.adapters.sources.registry import count_files, read_source
from nextrung.compute.curation.identities import IdentityCounter
from nextrung.compute.curation.outliers import find_outliers
from nextrung.compute.curation.same_crystals import group_same_crystals
from nextrung.compute.curation.splitting import list_members
from nextrung.potentials.registry import load_potential
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import CrystalTolerance, Rejection
from nextrung.schemas.labels.identity import LabelAudit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nextrung.schemas.labels.identity import Outlier
    from nextrung.schemas.labels.sources import Source
    from nextrung.schemas.labels.trajectory import Trajectory


def audit_source(
    source: Source,
    potential: str,
    *,
    device: str = "auto",
    on_progress: Callable[[int, int, str], None] = lambda *_: None,
) -> LabelAudit:
    """Audit all labels of a source, uncurated.

    Parameters
    ----------
    source : Source
        Source of labels.
    potential : str
        Potential that labels are compared with.
    device : str
        Device that predicts.
    on_progress : callable
        Receives the number of files read, of all files, and the name of the next.

    Returns
    -------
    LabelAudit
        Values of every field of their identity, mixtures, outliers and materials that
        are the same crystal.
    """
    runs: list[Trajectory] = []
    identities = IdentityCounter()
    unreadable: Counter[str] = Counter()
    for found in read_source(source, on_progress):
        if isinstance(found, Rejection):
            unreadable[found.rule] += 1
        else:
            runs.append(found)
            identities.add(found)
    return LabelAudit(
        files=count_files(source, len(runs), unreadable.total()),
        n_runs=len(runs),
        n_frames=sum(len(run.frames) for run in runs),
        n_unreadable=dict(unreadable),
        identities=identities.tabulate(),
        mixtures=identities.find_mixtures(),
        outliers=_find_outliers(runs, potential, device) if runs else [],
        same_crystals=_find_same_crystals(runs),
        potential=potential,
    )


def _find_outliers(runs: Sequence[Trajectory], name: str, device: str) -> list[Outlier]:
    """Compare the labels of all runs with the predictions of a potential."""
    potential = load_potential(name, device)
    frames = Frames.concatenate([_forget_functional(run.frames) for run in runs])
    predicted, _ = potential.predict_frames(frames, "efs")
    return find_outliers(frames, predicted)[0]


def _forget_functional(frames: Frames) -> Frames:
    """Drop the functional, so that frames of several can be predicted together."""
    return Frames(**{**vars(frames), "functional": ""})


def _find_same_crystals(runs: Sequence[Trajectory]) -> list[list[str]]:
    """List the materials that end in the same crystal, with their functional."""
    final = {
        f"{run.material_id} ({run.frames.functional})": run.frames[-1:] for run in runs
    }
    structures = {name: frame.to_structures()[0] for name, frame in final.items()}
    groups = group_same_crystals(structures, CrystalTolerance())
    return [sorted(n) for n in list_members(groups).values() if len(n) > 1]
