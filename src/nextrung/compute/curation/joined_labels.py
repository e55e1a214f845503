"""Labels that join a data set: they must be calculated as its labels are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nextrung.compute.curation.identities import K_SPACING, list_identity
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.identity import IdentitySummary, IdentityValue
from nextrung.schemas.labels.sources import CODES, DistilledSource
from nextrung.schemas.models import is_same_functional

if TYPE_CHECKING:
    from nextrung.schemas.dataset import DatasetSettings
    from nextrung.schemas.labels.identity import LabelIdentity

#: Fields that may differ between labels of one data set.
_FREE: Final = {K_SPACING, "version"}
#: Values of fields that are unknown.
_UNKNOWN: Final = {"", "nan eV", "unknown"}


def validate_same_labels(
    settings: DatasetSettings, known: IdentitySummary, identity: LabelIdentity
) -> None:
    """Check that labels have code, functional and settings of those of a data set.

    Parameters
    ----------
    settings : DatasetSettings
        Source and rules of the data set.
    known : IdentitySummary
        How its labels were calculated, where the source says.
    identity : LabelIdentity
        How the labels were calculated that would join it.

    Raises
    ------
    InputError
        If they differ: energies of two scales have no common reference energies.
    """
    source, wanted = settings.source, settings.curation.functional
    taught = isinstance(source, DistilledSource)
    code = source.teacher if isinstance(source, DistilledSource) else None
    code = code or CODES.get(source.kind)
    if code and code != identity.code:
        raise InputError(_describe("code", code, identity.code))
    if not taught and not is_same_functional(wanted, identity.functional):
        raise InputError(_describe("functional", wanted, identity.functional))
    values: dict[str, list[str]] = {}
    for each in known.identities:
        values.setdefault(each.field, []).append(each.value)
    for field, value in list_identity(identity).items():
        given = [each for each in values.get(field, ()) if each not in _UNKNOWN]
        checked = field not in _FREE and value not in _UNKNOWN
        if checked and given and value not in given:
            raise InputError(_describe(field, " or ".join(given), value))


def summarise_identity(identity: LabelIdentity, name: str) -> IdentitySummary:
    """Summarise labels that were all calculated in one way.

    Parameters
    ----------
    identity : LabelIdentity
        How they were calculated.
    name : str
        Name of a run of them.
    """
    values = list_identity(identity).items()
    return IdentitySummary(
        identities=[
            IdentityValue(field=field, value=value, n_runs=1, example=name)
            for field, value in values
        ]
    )


def merge_identities(
    known: IdentitySummary, added: list[IdentityValue]
) -> IdentitySummary:
    """Add the runs of labels that join a data set to its counts.

    Parameters
    ----------
    known : IdentitySummary
        How the labels of the data set were calculated.
    added : list of IdentityValue
        Values of the labels that join it, with their numbers of runs.
    """
    merged = {(each.field, each.value): each for each in known.identities}
    for each in added:
        before = merged.get((each.field, each.value))
        if before is None:
            merged[each.field, each.value] = each
            continue
        n_runs = before.n_runs + each.n_runs
        merged[each.field, each.value] = before.model_copy(update={"n_runs": n_runs})
    return known.model_copy(update={"identities": list(merged.values())})


def _describe(field: str, expected: str, got: str) -> str:
    """Describe labels that do not agree with those of a data set."""
    return (
        f"labels of the rounds: expected the {field} of the labels of the study, "
        f"{expected}, got {got or 'an unknown one'}: energies of two scales cannot be "
        "mixed; label with the engine and settings of the study"
    )
