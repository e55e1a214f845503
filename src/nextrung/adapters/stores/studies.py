"""Stored studies: the summary document and the documents of the stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextrung.adapters.files.artifacts import is_stored
from nextrung.adapters.files.stability_table import load_rows
from nextrung.adapters.stores.job_store import find_documents
from nextrung.compute.intervals import collect_errors
from nextrung.schemas.alignment import AlignmentDoc
from nextrung.schemas.atom_refs import AtomRefDoc
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import DatasetDoc
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.improvement import ImprovementDoc
from nextrung.schemas.physics import PhysicsDoc
from nextrung.schemas.preflight import PreflightDoc
from nextrung.schemas.relaxation import RelaxationDoc
from nextrung.schemas.repeats import is_repeat
from nextrung.schemas.scaling_law import ScalingLawDoc
from nextrung.schemas.stability import StabilityDoc
from nextrung.schemas.study import StudyDoc

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jobflow import JobStore

    from nextrung.compute.intervals import ErrorsBySplit
    from nextrung.schemas.base import TaskDoc

#: Document class of each stage.
DOCUMENTS: Mapping[str, type[TaskDoc]] = {
    "preflight": PreflightDoc,
    "dataset": DatasetDoc,
    "atom_refs": AtomRefDoc,
    "alignment": AlignmentDoc,
    "fine_tuning": FineTuningDoc,
    "evaluation": EvaluationDoc,
    "relaxation": RelaxationDoc,
    "stability": StabilityDoc,
    "density": DensityDoc,
    "physics": PhysicsDoc,
    "scaling_law": ScalingLawDoc,
}

#: Stages whose documents list errors of single frames, materials or crystals.
SCORED = ("evaluation", "stability", "density")


def _list_studies(store: JobStore) -> list[str]:
    """List the names of the finished studies, in order of completion."""
    return list(dict.fromkeys(found.results.study for found in _studies(store, {})))


def load_study(store: JobStore, name: str | None = None) -> StudyDoc:
    """Load the newest summary document of a study.

    Parameters
    ----------
    store : JobStore
        A connected store.
    name : str, optional
        Name of the study; the one finished last by default.

    Raises
    ------
    InputError
        If there is no such finished study.
    """
    criteria = {} if name is None else {"output.results.study": name}
    studies = _studies(store, criteria)
    if not studies:
        expected = "a finished study" if name is None else f"a finished study {name}"
        others = ", ".join(_list_studies(store)) or "none"
        raise InputError(f"expected {expected} in the store, got {others}")
    return studies[-1]


def load_improvement(store: JobStore, study: str | None = None) -> ImprovementDoc:
    """Load the last document of the newest improvement loop that has ended.

    Parameters
    ----------
    store : JobStore
        A connected store.
    study : str, optional
        Name of the study; that of the loop finished last by default.

    Raises
    ------
    InputError
        If there is none.
    """
    criteria = {"output.@class": "ImprovementDoc", "output.stop": {"$ne": None}}
    named = {} if study is None else {"output.study": study}
    found = find_documents(store, criteria | named)
    if not found:
        of_study = "" if study is None else f" of study {study}"
        raise InputError(
            f"expected a finished loop{of_study} in the store, got none (nextrung "
            "improve)"
        )
    return ImprovementDoc.model_validate(found[-1]["output"])


def load_documents(
    store: JobStore, study: StudyDoc, stages: Collection[str] = tuple(DOCUMENTS)
) -> dict[str, TaskDoc]:
    """Load the documents of a study, rows included, without repeats but the first.

    A stability document whose table is not on this machine comes without its rows.

    Parameters
    ----------
    store : JobStore
        A connected store.
    study : StudyDoc
        The study.
    stages : collection of str
        Stages to load; all by default.

    Returns
    -------
    dict of str to TaskDoc
        Documents, by stage or by ``stage/model``.
    """
    loaded = {
        part: _load(store, uuid, stage)
        for part, uuid in study.results.jobs.items()
        if (stage := part.partition("/")[0]) in stages and not is_repeat(part)
    }
    preflight = find_preflight(store, study) if "preflight" in stages else None
    return loaded if preflight is None else {"preflight": preflight, **loaded}


def load_repeated_errors(store: JobStore, study: StudyDoc) -> dict[str, ErrorsBySplit]:
    """Load the errors of all repeats but the first, one document at a time.

    Parameters
    ----------
    store : JobStore
        A connected store.
    study : StudyDoc
        The study.

    Returns
    -------
    dict of str to dict
        Errors of each evaluation, hull and set of densities, by
        ``stage/model/repeat``.
    """
    return {
        part: collect_errors(_load(store, uuid, stage))
        for part, uuid in study.results.jobs.items()
        if (stage := part.partition("/")[0]) in SCORED and is_repeat(part)
    }


def find_preflight(store: JobStore, study: StudyDoc) -> PreflightDoc | None:
    """Find the newest preflight of the data set of a study.

    Parameters
    ----------
    store : JobStore
        A connected store.
    study : StudyDoc
        The study.

    Returns
    -------
    PreflightDoc or None
        The document; None where the study had no preflight.
    """
    dataset = study.provenance.parents.get("parts dataset")
    criteria = {
        "output.verdict": {"$exists": True},
        "metadata.study": study.results.study,
    }
    documents = find_documents(store, criteria)
    loaded = [PreflightDoc.model_validate(found["output"]) for found in documents]
    same = [doc for doc in loaded if doc.provenance.parents.get("dataset") == dataset]
    return same[-1] if same else None


def _load(store: JobStore, uuid: str, stage: str) -> TaskDoc:
    """Load a document, with its rows where their file is on this machine."""
    document = DOCUMENTS[stage].model_validate(_output(store, uuid))
    if all(map(is_stored, document.artifacts)):
        return load_rows(document)
    return document


def _output(store: JobStore, uuid: str) -> Any:  # noqa: ANN401 - any document
    """Load the output of a job; for a planning job, the merged output."""
    try:
        return store.get_output(uuid, load=True)
    except ValueError as error:
        raise InputError(f"expected the document of job {uuid}, got none") from error


def _studies(store: JobStore, criteria: dict[str, Any]) -> list[StudyDoc]:
    """Load summary documents, oldest first."""
    summaries = {"output.results.study": {"$exists": True}} | criteria
    return [
        StudyDoc.model_validate(document["output"])
        for document in find_documents(store, summaries)
    ]
