"""Evidence of made-up evaluations."""

from __future__ import annotations

from tests.made_up_study import make_evaluations

from nextrung.reports.sections.verdicts.evidence import Evidence, read_evidence
from nextrung.schemas.models import Model

NOTHING = Evidence({}, {})


def evaluate(**errors: dict[str, float]) -> Evidence:
    return read_evidence(
        make_evaluations({Model(model): of_model for model, of_model in errors.items()})
    )
