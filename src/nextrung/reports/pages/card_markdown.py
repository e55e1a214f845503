"""Record of a model card, and its Markdown."""

from __future__ import annotations

import re
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from pydantic import Field

from nextrung.potentials.catalogue import format_plain_code
from nextrung.reports.html.elements import format_count
from nextrung.reports.html.model_style import appearance, describe_recipe
from nextrung.reports.html.quantities import COUNT, DENSITY, ENERGY, PROPERTIES
from nextrung.schemas.base import Record
from nextrung.schemas.evaluation import PropertyErrors
from nextrung.schemas.models import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModelCard(Record):
    """The model card of a potential, as stored in JSON."""

    model: str = Field(description="Model of the study, or name of the potential.")
    family: str = Field(
        "chgnet", description="Family of its architecture, see `nextrung models`."
    )
    checkpoint: str = Field(description="File name of the weights, beside the card.")
    checkpoint_sha256: str = Field(description="SHA-256 of the weights.")
    source: str = Field(description="Potential that training started from.")
    recipe: Recipe = Field(description="Recipe of the training.")
    functional: str = Field(description="Functional of its energies.")
    labels: str = Field(description="Functional and origin of the labels.")
    n_train_frames: int = Field(ge=0, description="Training frames used.")
    n_train_materials: int = Field(ge=0, description="Materials of these frames.")
    elements: list[str] = Field(description="Elements that have a reference energy.")
    elements_without_reference: list[str] = Field(
        description="Elements that it rejects."
    )
    elements_trained: list[str] = Field(
        description="Elements in the training frames of these labels."
    )
    uses: dict[str, list[str]] = Field(
        description="Recommended uses, and the test errors that they rest on."
    )
    not_recommended: dict[str, list[str]] = Field(
        description="Uses that are not recommended, and why."
    )
    metrics: dict[str, PropertyErrors] = Field(description="Errors, by split.")
    intervals: dict[str, tuple[float, float]] = Field(
        description="95 % intervals of the test errors over materials, by benchmark."
    )
    decomposition_energy_mae: float | None = Field(
        description="Test materials, in eV/atom; null where not scored."
    )
    n_failed_relaxations: int | None = Field(
        description="Relaxations without energy; null where not scored."
    )
    density_mae: float | None = Field(description="In g/cm³; null where not scored.")
    limits: list[str] = Field(description="Known limits.")
    fingerprint: str = Field(description="Fingerprint of the document of the model.")
    citation: str = Field(description="Publication to cite.")


def format_markdown(card: ModelCard) -> str:
    """Format a model card as Markdown.

    Parameters
    ----------
    card : ModelCard
        The card.
    """
    template = files("nextrung.reports.pages").joinpath("model_card.md")
    return Template(template.read_text(encoding="utf-8")).substitute(
        card.model_dump(mode="json")
        | {
            "source": _quote_code(card.source),
            "functional": _escape(card.functional),
            "labels": _escape(card.labels),
        },
        title=appearance(card.model).title,
        start="the source's weights" if card.recipe.pretrained else "random weights",
        rereference=card.recipe.rereference.value,
        trained=describe_recipe(card.recipe),
        data=f"{format_count(card.n_train_frames, 'frame')} of "
        f"{format_count(card.n_train_materials, 'material')}",
        elements=", ".join(card.elements),
        missing_elements=", ".join(card.elements_without_reference) or "none",
        errors="\n".join(
            _format_errors(split, errors, card.intervals if split == "test" else {})
            for split, errors in card.metrics.items()
        ),
        decomposition=ENERGY.format(card.decomposition_energy_mae),
        failed=COUNT.format(card.n_failed_relaxations),
        density=DENSITY.format(card.density_mae),
        limits="\n".join(f"- {_escape(limit)}" for limit in card.limits),
        elements_trained=", ".join(card.elements_trained) or "none",
        uses=_format_uses(card.uses) or "None: no use is supported by the test.",
        not_recommended=_format_uses(card.not_recommended),
        element=(card.elements_trained or card.elements)[0],
        plain=_format_plain_code(card),
    )


def _format_plain_code(card: ModelCard) -> str:
    """Format the code that loads the weights without this package, where it can."""
    code = format_plain_code(card.family, card.checkpoint, card.source)
    if code is None:
        return f"The file loads with nextrung alone; family: {card.family}."
    return f"The same file loads without nextrung:\n\n```python\n{code}\n```"


def _escape(text: str) -> str:
    """Escape what Markdown and HTML would interpret, in one line."""
    return re.sub(r"[\\`*<>|&]|\[|\]", r"\\\g<0>", " ".join(text.split()))


def _quote_code(text: str) -> str:
    """Keep a text within its backticks, in one line."""
    return " ".join(text.split()).replace("`", "'")


def _format_uses(uses: Mapping[str, list[str]]) -> str:
    """Format uses with the errors or the reasons that they rest on."""
    return "\n".join(f"- {use}: {'; '.join(texts)}" for use, texts in uses.items())


def _format_errors(
    split: str, errors: PropertyErrors, intervals: Mapping[str, tuple[float, float]]
) -> str:
    """Format the errors of one split as a row, with intervals where there are."""
    values = []
    for name, quantity in PROPERTIES.items():
        text = quantity.format(getattr(errors, f"{name}_mae"))
        if name in intervals:
            text += " ({} to {})".format(*map(quantity.format, intervals[name]))
        values.append(text)
    return f"| {split} | {errors.n_frames:,} | {' | '.join(values)} |"
