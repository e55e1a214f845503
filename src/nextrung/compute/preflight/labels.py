"""Checks of the labels of a study: of one kind, and on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.curation.outliers import (
    find_derivative_outliers,
    find_energy_outliers,
    name_run,
)
from nextrung.compute.preflight.sample import check_losses
from nextrung.schemas.preflight import Check, CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.identity import Mixture
    from nextrung.schemas.preflight import PreflightSettings

#: Mixtures that the finding of a check lists.
N_LISTED = 3


def check_mixtures(mixtures: Sequence[Mixture]) -> Check:
    """Check whether runs were calculated in several ways.

    Parameters
    ----------
    mixtures : sequence of Mixture
        Fields in which the runs of the data set differ, the largest difference first.

    Returns
    -------
    Check
        A warning with the energy differences where runs differ.
    """
    name = "labels of one kind"
    if not mixtures:
        return Check(
            name=name,
            outcome=CheckOutcome.PASSED,
            finding="no mixture of settings among the runs whose source names them",
        )
    listed = [_describe(mixture) for mixture in mixtures[:N_LISTED]]
    if len(mixtures) > N_LISTED:
        listed.append(f"{len(mixtures) - N_LISTED} more")
    return Check(
        name=name, outcome=CheckOutcome.WARNING, finding=f"mixed: {'; '.join(listed)}"
    )


def _describe(mixture: Mixture) -> str:
    """Describe a mixture by its values and their energy difference."""
    values = ", ".join(f"{value.value} ({value.n_runs})" for value in mixture.values)
    text = f"{mixture.field} {values}"
    if mixture.energy_difference is None:
        return text
    difference = 1000 * mixture.energy_difference
    return f"{text}, {difference:.0f} meV/atom apart for {mixture.composition}"


def check_outliers(
    frames: Frames, predicted: Frames, settings: PreflightSettings
) -> Check:
    """Check whether runs have labels of another scale, unit or sign than the others.

    Parameters
    ----------
    frames : Frames
        Frames with labels; those of one run in order.
    predicted : Frames
        The same frames with labels predicted by the source.
    settings : PreflightSettings
        Maximum fraction of such runs.

    Returns
    -------
    Check
        Passed where all runs fit, failed above the maximum, a warning otherwise.
    """
    names = [name_run(frames, index) for index in range(len(frames))]
    last = np.array(sorted({name: index for index, name in enumerate(names)}.values()))
    outliers = [
        *find_energy_outliers(frames[last], predicted.energies[last]),
        *find_derivative_outliers(frames, predicted),
    ]
    why = f"{outliers[0].run_id}: {outliers[0].reason}" if outliers else ""
    return check_losses(
        "labels that do not fit the others",
        (len({outlier.run_id for outlier in outliers}), len(last)),
        why=why,
        settings=settings,
        counted="runs",
    )
