"""Sections of an improvement loop: errors against labels, rounds, chosen structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nextrung.reports.html.elements import (
    MISSING,
    details_table,
    element,
    format_count,
    format_duration,
    format_number,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.plots.improvement import plot_loops
from nextrung.reports.sections.section import Section
from nextrung.schemas.improvement import (
    GpawLabels,
    PotentialLabels,
    StopReason,
    Strategy,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from nextrung.reports.plots.figure import Figure
    from nextrung.schemas.improvement import (
        ImprovementDoc,
        ImprovementRound,
        LabelEngine,
        LabelOutcome,
    )

#: Titles of the strategies.
TITLES = {
    Strategy.EXPECTED_GAIN: "expected gain",
    Strategy.RANDOM: "random choice",
}


def report_improvement(
    document: ImprovementDoc, beside: ImprovementDoc | None = None
) -> list[Section]:
    """Report a loop, beside another one where there is one.

    Parameters
    ----------
    document : ImprovementDoc
        Last document of a loop.
    beside : ImprovementDoc, optional
        Last document of the loop that it is compared with.

    Returns
    -------
    list of Section
        Result, rounds, and chosen structures.
    """
    loops = {TITLES[document.settings.strategy]: document}
    compared: list[Element] = []
    if beside is not None:
        title = TITLES[beside.settings.strategy]
        loops[f"{title}, other run" if title in loops else title] = beside
        compared = [element("p", describe_pair(document, beside))]
    result: tuple[Element | Figure, ...] = (
        element("p", f"{_describe_origin(document)}."),
        element("p", f"Ended: {document.reason}."),
        *compared,
        plot_loops(loops),
    )
    return [
        Section("result", "Error against labels", result),
        Section("rounds", "Rounds", (_list_rounds(document),)),
        Section("chosen", "Chosen structures", tuple(_list_chosen(document))),
    ]


def rounds_table(document: ImprovementDoc) -> Table:
    """Build the table of the rounds for a terminal.

    Parameters
    ----------
    document : ImprovementDoc
        Last document of a loop.
    """
    built = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in (
        "Round",
        "Labels",
        "Failed",
        "Energy MAE (meV/atom)",
        "95 % interval",
    ):
        built.add_column(title, justify="right")
    for each in document.rounds:
        cells = (each.number, each.n_labels, each.n_failed)
        error = format_number(1000 * each.energy_mae, 2)
        built.add_row(*map(Text, map(str, cells)), Text(error), Text(_interval(each)))
    return built


def describe_pair(document: ImprovementDoc, beside: ImprovementDoc) -> str:
    """Compare a loop with another one at the labels that both have spent.

    Parameters
    ----------
    document, beside : ImprovementDoc
        Last documents of two loops.

    Returns
    -------
    str
        One is said to be lower only where both were scored on the same held-out frames
        and their 95 % intervals do not overlap at the largest number of labels that
        both have spent.
    """
    titles = [TITLES[each.settings.strategy] for each in (document, beside)]
    other = f"the other run ({titles[1]})"
    if document.held_out != beside.held_out:
        return f"Not compared with {other}: its held-out frames are others."
    common = {each.n_labels: each for each in beside.rounds}
    rounds = [each for each in document.rounds if common.get(each.n_labels)]
    shared = [each for each in rounds if each.n_labels > 0]
    if not shared:
        return f"Not compared with {other}: no round has as many labels."
    mine = shared[-1]
    theirs = common[mine.n_labels]
    text = (
        f"With {format_count(mine.n_labels, 'label')}, the energy MAE of "
        f"{titles[0]} is {_error(mine)} and that of {other} {_error(theirs)}: "
        f"{_rank(mine, theirs)}."
    )
    needed = [_count_needed(each) for each in (document, beside)]
    return f"{text} By {titles[0]}, {needed[0]}; by {other}, {needed[1]}."


def _rank(mine: ImprovementRound, theirs: ImprovementRound) -> str:
    """Say which error is lower where the intervals allow it."""
    if None in {mine.low, mine.high, theirs.low, theirs.high}:
        return "too few materials for intervals, so that neither is called lower"
    if (mine.high or 0.0) < (theirs.low or 0.0):
        return "the intervals do not overlap, it is lower"
    if (theirs.high or 0.0) < (mine.low or 0.0):
        return "the intervals do not overlap, it is higher"
    return "the intervals overlap, so that neither is called lower"


def _count_needed(document: ImprovementDoc) -> str:
    """Describe the labels with which a loop reached its target."""
    target = f"a target of {1000 * document.settings.target:g} meV/atom"
    reached = document.stop is StopReason.TARGET_REACHED
    words = f"{target} was {'' if reached else 'not '}reached"
    return f"{words} with {format_count(document.rounds[-1].n_labels, 'label')}"


def _describe_origin(document: ImprovementDoc) -> str:
    """Describe model, engine, pool and strategy of a loop."""
    settings = document.settings
    n_members = len(document.rounds[-1].members)
    committee = f"{format_count(n_members, 'training')} per round"
    return (
        f"Model {settings.model}, {committee}; labels by {_name(settings.engine)}; "
        f"{TITLES[settings.strategy]}, {settings.batch} labels per round; pool of "
        f"{format_count(document.n_structures, 'structure')}, of which "
        f"{document.n_held_out_structures:,} are left out as materials of the held-out "
        "splits"
    )


def _name(engine: LabelEngine) -> str:
    """Name the engine of the labels."""
    match engine:
        case PotentialLabels():
            return f"the potential {engine.potential}"
        case GpawLabels():
            return f"GPAW ({engine.calculation.functional})"
        case _:
            return f"VASP ({engine.calculation.input_set})"


def _list_rounds(document: ImprovementDoc) -> Element:
    """List labels and errors of every round."""
    titles = numeric(
        "Round",
        "Labels spent",
        "Failed",
        "Training frames",
        "Energy MAE (meV/atom)",
        "95 % interval",
        "Trainings",
        "Candidates left",
        "Time",
    )
    rows = [
        row(
            number(each.number),
            number(each.n_labels),
            number(each.n_failed),
            number(each.n_train_frames),
            number(each.energy_mae, 2, factor=1000),
            element("td", _interval(each), class_="number"),
            element("td", _list_members(each), class_="number"),
            number(each.n_candidates),
            element("td", format_duration(each.wall_time), class_="number"),
        )
        for each in document.rounds
    ]
    return table(titles, rows)


def _list_members(scored: ImprovementRound) -> str:
    """Format the errors of the trainings of a round."""
    errors = (format_number(1000 * each.energy_mae, 2) for each in scored.members)
    return " · ".join(errors)


def _list_chosen(document: ImprovementDoc) -> list[Element]:
    """List the chosen structures of every round, and their labels."""
    got = {each.frame_id: each for done in document.rounds for each in done.labels}
    titles: list[Element | str] = [
        "Structure",
        "Material",
        "Formula",
        *numeric(
            "Rank",
            "Expected gain (meV/atom)",
            "Leverage",
            "Disagreement (meV/atom)",
            "Forces (meV/Å)",
            "Distance",
        ),
        "Label",
    ]
    blocks: list[Element] = [element("p", _explain_columns())]
    for each in document.rounds:
        rows = [
            row(
                chosen.frame_id,
                chosen.material_id,
                chosen.formula,
                number(chosen.rank),
                number(chosen.expected_gain, 2, factor=1000),
                number(chosen.leverage, 3),
                number(chosen.disagreement, 2, factor=1000),
                number(chosen.force_disagreement, 1, factor=1000),
                number(chosen.distance, 4),
                _describe_label(got.get(chosen.frame_id)),
            )
            for chosen in each.chosen
        ]
        if rows:
            title = f"After round {each.number}: {format_count(len(rows), 'structure')}"
            blocks += details_table(title, titles, rows)
    return blocks


def _explain_columns() -> str:
    """Explain the numbers that structures are chosen by."""
    return (
        "Leverage: how much a label of the composition tells of the references. "
        "Disagreement: standard deviation of the energies of the committee; forces: "
        "the largest on an atom. Distance: to the nearest structure labelled or chosen "
        "before, in composition fractions and nm³/atom. Expected gain: expected drop "
        "of the root-mean-square error of the pool by the label, the largest of which "
        "is chosen unless the choice is random."
    )


def _describe_label(outcome: LabelOutcome | None) -> str:
    """Describe the label of a structure, or why it has none."""
    if outcome is None:
        return MISSING
    if outcome.error is not None or outcome.energy_per_atom is None:
        return outcome.error or MISSING
    return f"{outcome.energy_per_atom:.4f} eV/atom"


def _interval(scored: ImprovementRound) -> str:
    """Format the interval of the error of a round in meV/atom."""
    if scored.low is None or scored.high is None:
        return MISSING
    return f"{1000 * scored.low:.2f} to {1000 * scored.high:.2f}"


def _error(scored: ImprovementRound) -> str:
    """Format the error of a round with its interval."""
    text = f"{1000 * scored.energy_mae:.2f} meV/atom"
    interval = _interval(scored)
    return text if interval == MISSING else f"{text} ({interval})"
