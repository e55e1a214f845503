"""Checks of the labels of a study: of one kind, and on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.preflight import Check, CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.labels.identity import Mixture, Outlier
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
    outliers: Sequence[Outlier],
    n_runs: int,
    settings: PreflightSettings,
    *,
    has_forces: bool = True,
) -> Check:
    """Check whether runs have labels of another scale, unit or sign than the others.

    Parameters
    ----------
    outliers : sequence of Outlier
        Labels that do not fit those of the other runs.
    n_runs : int
        Number of runs that were compared.
    settings : PreflightSettings
        Maximum fraction of such runs.
    has_forces : bool
        Whether a frame has forces or stresses, whose unit and sign can be compared.

    Returns
    -------
    Check
        Passed where all runs fit; failed where more than the maximum have forces or
        stresses of another unit or sign; a warning otherwise, as energies that differ
        may be right: those of molecules and of unusual bonds are no mistakes.
    """
    name = "labels that do not fit the others"
    if not outliers:
        finding = f"none of {n_runs:,} runs"
        if not has_forces:
            finding += "; no frame has forces or stresses to compare"
        return Check(name=name, outcome=CheckOutcome.PASSED, finding=finding)
    n_wrong = len({each.run_id for each in outliers if each.kind != "energy"})
    failed = n_wrong > settings.max_lost_fraction * n_runs
    first = outliers[0]
    return Check(
        name=name,
        outcome=CheckOutcome.FAILED if failed else CheckOutcome.WARNING,
        finding=f"{len({each.run_id for each in outliers}):,} of {n_runs:,} runs: "
        f"{first.run_id}: {first.reason}",
    )
