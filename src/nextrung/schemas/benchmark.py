"""Settings, facts, scores and documents of the benchmark against experiment."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field
from pymatgen.core import Structure

from nextrung.schemas.base import ModelDoc, Record
from nextrung.schemas.evaluation import EvaluationScore
from nextrung.schemas.physics import EquationOfStateSettings
from nextrung.schemas.relaxation import RelaxationSettings


class BenchmarkProperty(StrEnum):
    """Property of a crystal that was measured in experiments."""

    LATTICE_PARAMETER = "lattice_parameter"
    DENSITY = "density"
    BULK_MODULUS = "bulk_modulus"
    FORMATION_ENTHALPY = "formation_enthalpy"


class BenchmarkSettings(Record):
    """Properties and crystals that are compared with experiment, and how."""

    properties: tuple[BenchmarkProperty, ...] = Field(
        tuple(BenchmarkProperty), min_length=1, description="Properties to compare."
    )
    crystals: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Ids of crystals, such as `MgO rocksalt`; null for all.",
    )
    relaxation: RelaxationSettings = Field(
        RelaxationSettings(fmax=0.005, max_steps=500, fix_symmetry=True),
        description="Relaxation of every crystal; molecules relax in a fixed cell.",
    )
    equation_of_state: EquationOfStateSettings = Field(
        EquationOfStateSettings(),
        description="Fit of lattice parameters and bulk moduli of cubic crystals.",
    )
    molecule_box: float = Field(
        15.0, ge=8, description="Length of the cubic cell of a diatomic molecule in Å."
    )


class BenchmarkFact(Record):
    """One property of one crystal, measured in experiments."""

    crystal_id: str = Field(description="Id of the crystal.")
    formula: str = Field(description="Reduced formula.")
    property: BenchmarkProperty = Field(description="What was measured.")
    experiment: float = Field(description="Measured value: Å, g/cm³, GPa or eV/atom.")
    temperature: float = Field(
        ge=0,
        description="Temperature of the experiment in K; 0 for values extrapolated to "
        "0 K and corrected for zero-point motion.",
    )
    reference: str = Field(description="Origin of the measured value.")


class ReferencePhase(Record):
    """Phase of an element that formation enthalpies are relative to."""

    symbol: str = Field(description="Symbol of the element.")
    crystal_id: str | None = Field(
        description="Id of the crystal; null for a diatomic molecule."
    )
    bond_length: float | None = Field(
        gt=0,
        description="Initial bond length of the molecule in Å; null for a crystal.",
    )
    enthalpy: float = Field(
        description="Enthalpy at 298.15 K relative to the standard state in eV/atom: 0 "
        "unless the standard state is another phase."
    )
    reference: str = Field(description="Origin of the enthalpy.")


class BenchmarkTable(Record):
    """Facts of a benchmark, and the structures that they need."""

    facts: list[BenchmarkFact] = Field(description="Measured values.")
    crystals: dict[str, Structure] = Field(
        description="Initial structures of the facts and reference phases, by id."
    )
    phases: list[ReferencePhase] = Field(
        description="Reference phases of the elements of the formation enthalpies."
    )


class BenchmarkRecord(BenchmarkFact):
    """One fact, and the value of a model."""

    value: float | None = Field(
        description="Value of the model: Å, g/cm³, GPa or eV/atom; null where it has "
        "none."
    )
    deviation: float | None = Field(
        description="Value over experiment minus 1; for formation enthalpies, value "
        "minus experiment in eV/atom."
    )
    error: str | None = Field(None, description="Why there is no value.")


class PropertyScore(Record):
    """Deviations of one property over all crystals with a value."""

    property: BenchmarkProperty = Field(description="What was measured.")
    n_facts: int = Field(ge=0, description="Measured values.")
    n_without_value: int = Field(
        ge=0, description="Measured values that the model has no value for."
    )
    mean_deviation: float | None = Field(
        description="Mean deviation: relative, or eV/atom for formation enthalpies; "
        "null without values."
    )
    mae: float | None = Field(
        description="Mean absolute deviation; null without values."
    )


class BenchmarkDoc(ModelDoc):
    """Benchmark of one model; ``labels`` is the functional of its energies."""

    settings: BenchmarkSettings = Field(description="Settings of the stage.")
    properties: list[PropertyScore] = Field(description="Every property.")
    rows: list[BenchmarkRecord] = Field(description="Every measured value.")
    frames: EvaluationScore | None = Field(
        None, description="Errors on labelled frames; null without frames."
    )
    frame_labels: str | None = Field(
        None, description="Functional and origin of the frames; null without frames."
    )


class MeanInterval(Record):
    """Mean over the values of one model, its interval, and the number of values."""

    model: str = Field(description="Name of the potential.")
    quantity: str = Field(
        description="Property, or `frames_energy`, `frames_forces`, `frames_stress`."
    )
    mean: float = Field(description="Mean: relative, eV/atom, eV/Å or GPa.")
    low: float | None = Field(
        description="Low end of the 95 % interval; null below five materials."
    )
    high: float | None = Field(description="High end of the 95 % interval.")
    n_values: int = Field(ge=1, description="Values, all crystals of this model.")


class BenchmarkDifference(Record):
    """Difference of the mean absolute deviations of two models, paired by value."""

    quantity: str = Field(description="As in the means.")
    model: str = Field(description="Name of the potential.")
    reference: str = Field(
        description="The potential whose largest paired difference is smallest."
    )
    difference: float = Field(description="Mean of the model minus the reference's.")
    low: float = Field(description="Low end of the 95 % interval.")
    high: float = Field(description="High end of the 95 % interval.")
    p_adjusted: float = Field(
        ge=0,
        le=1,
        description="P-value, adjusted after Holm for the models of one quantity.",
    )
    significant: bool = Field(
        description="Whether the model is shown to deviate more: the interval excludes "
        "zero, and the adjusted p-value is below 0.05."
    )
    n_values: int = Field(ge=0, description="Values that both have.")


class BenchmarkComparison(Record):
    """Means of several models, and the differences between them."""

    means: list[MeanInterval] = Field(
        description="Mean absolute deviation of each model and quantity."
    )
    biases: list[MeanInterval] = Field(
        description="Mean deviation of each model and property, signed."
    )
    differences: list[BenchmarkDifference] = Field(
        description="Differences from the model of the lowest deviations."
    )
    leaders: dict[str, str] = Field(
        description="Model that deviates less than each other one, by quantity; only "
        "where every adjusted p-value is below 0.05."
    )


class BenchmarkResults(Record):
    """Benchmarks of several models, and their comparison."""

    models: list[BenchmarkDoc] = Field(description="Results, in the order given.")
    comparison: BenchmarkComparison = Field(description="Means and differences.")
