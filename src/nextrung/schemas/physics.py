"""Settings, results and documents of tests of the potential energy surface."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator
from pymatgen.core import Structure

from nextrung.schemas.base import ModelDoc, Record
from nextrung.schemas.relaxation import RelaxationSettings


class PhysicsTest(StrEnum):
    """Test of the potential energy surface of a crystal."""

    EQUATION_OF_STATE = "equation_of_state"
    ELASTICITY = "elasticity"
    PHONONS = "phonons"
    REPULSION = "repulsion"
    MOLECULAR_DYNAMICS = "molecular_dynamics"


class Measure(StrEnum):
    """Number that a test measures."""

    LATTICE_PARAMETER = "lattice_parameter"
    BULK_MODULUS = "bulk_modulus"
    C11 = "c11"
    C12 = "c12"
    C44 = "c44"
    LOWEST_STIFFNESS = "lowest_stiffness"
    LOWEST_FREQUENCY = "lowest_frequency"
    CRYSTAL_REPULSION = "crystal_repulsion"
    DIMER_REPULSION = "dimer_repulsion"
    ENERGY_DRIFT = "energy_drift"


class EquationOfStateSettings(Record):
    """Birch-Murnaghan fit to energies of isotropically strained crystals."""

    largest_strain: float = Field(
        0.02, gt=0, lt=0.2, description="Largest strain of every lattice vector."
    )
    n_volumes: int = Field(7, ge=5, description="Number of volumes.")
    lattice_tolerance: float = Field(
        0.02,
        gt=0,
        description="Largest relative deviation of the lattice parameter from "
        "experiment.",
    )
    bulk_modulus_tolerance: float = Field(
        0.25,
        gt=0,
        description="Largest relative deviation of the bulk modulus from experiment.",
    )


class ElasticitySettings(Record):
    """Linear fit of stress to strain, atoms relaxed at each strain."""

    strains: tuple[float, ...] = Field(
        (-0.01, -0.005, 0.005, 0.01),
        min_length=2,
        description="Green-Lagrange strains of each of the six components.",
    )
    tolerance: float = Field(
        0.35,
        gt=0,
        description="Largest relative deviation of an elastic constant from "
        "experiment.",
    )

    @model_validator(mode="after")
    def _validate_strains(self) -> Self:
        """Validate that the strains are small, different and not zero."""
        if any(not 0 < abs(strain) < 0.1 for strain in self.strains):  # noqa: PLR2004
            raise ValueError("strains: expected numbers from -0.1 to 0.1 other than 0")
        if len(set(self.strains)) != len(self.strains):
            raise ValueError("strains: expected each strain once")
        return self


class PhononSettings(Record):
    """Harmonic phonons by finite displacements in a supercell; needs phonopy."""

    displacement: float = Field(0.02, gt=0, description="Displacement of an atom in Å.")
    min_length: float = Field(
        9.0, gt=0, description="Smallest length of the supercell vectors in Å."
    )
    lowest_frequency: float = Field(
        -0.1,
        le=0,
        description="Lowest frequency in THz, imaginary ones as negative, that is not "
        "an instability.",
    )


class RepulsionSettings(Record):
    """Energies of compressed crystals and of dimers, which must rise on approach."""

    n_distances: int = Field(8, ge=3, description="Number of distances.")
    closest_in_crystal: float = Field(
        1.0, gt=0, description="Smallest distance of nearest neighbors in Å."
    )
    closest_in_dimer: float = Field(
        0.7, gt=0, description="Smallest distance of the atoms of a dimer in Å."
    )


class MolecularDynamicsSettings(Record):
    """Molecular dynamics at constant energy with ASE's velocity Verlet."""

    crystals: tuple[str, ...] = Field(
        ("NaCl rocksalt", "Si diamond"),
        description="Crystals to run, of those that are tested.",
    )
    min_atoms: int = Field(8, ge=2, description="Smallest number of atoms of a cell.")
    temperature: float = Field(
        300.0, gt=0, description="Temperature after equipartition in K."
    )
    timestep: float = Field(2.0, gt=0, description="Time step in fs.")
    n_steps: int = Field(1000, ge=10, description="Number of time steps.")
    seed: int = Field(0, ge=0, description="Random seed of the velocities.")
    largest_drift: float = Field(
        1.0,
        gt=0,
        description="Largest drift of the total energy in meV/atom/ps, up or down.",
    )


class ForgettingSettings(Record):
    """Perturbed experimental crystals on which a model is compared with its source."""

    n_perturbed: int = Field(
        3, ge=1, description="Perturbed structures of each crystal."
    )
    displacement: float = Field(
        0.1, gt=0, description="Length of the random displacement of every atom in Å."
    )
    largest_strain: float = Field(
        0.03,
        ge=0,
        lt=0.5,
        description="Largest random strain of all lattice vectors, up or down.",
    )
    seed: int = Field(0, ge=0, description="Random seed of the perturbations.")


class FidelitySettings(Record):
    """Relaxed structures compared with relaxed labels."""

    label_fmax: float = Field(
        0.05,
        gt=0,
        description="Largest force on an atom in eV/Å of a label that is relaxed; the "
        "one of lowest energy of each material is compared.",
    )


class PhysicsSettings(Record):
    """Tests of the potential energy surface on crystals with measured elasticity."""

    crystals: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Ids of embedded crystals, such as `Si diamond`; null for all.",
    )
    tests: tuple[PhysicsTest, ...] = Field(
        tuple(PhysicsTest), min_length=1, description="Tests to run."
    )
    relaxation: RelaxationSettings = Field(
        RelaxationSettings(fmax=0.005, max_steps=500, fix_symmetry=True),
        description="Relaxation of every crystal before its tests.",
    )
    equation_of_state: EquationOfStateSettings = Field(
        EquationOfStateSettings(), description="Lattice parameter and bulk modulus."
    )
    elasticity: ElasticitySettings = Field(
        ElasticitySettings(), description="Elastic constants and Born stability."
    )
    phonons: PhononSettings = Field(
        PhononSettings(), description="Imaginary phonon frequencies."
    )
    repulsion: RepulsionSettings = Field(
        RepulsionSettings(), description="Repulsion of atoms at short distances."
    )
    molecular_dynamics: MolecularDynamicsSettings = Field(
        MolecularDynamicsSettings(), description="Drift of the energy."
    )
    forgetting: ForgettingSettings | None = Field(
        ForgettingSettings(),
        description="Deviation from the source potential; null to leave it out.",
    )
    fidelity: FidelitySettings | None = Field(
        FidelitySettings(),
        description="Deviation of relaxed structures from relaxed labels; needs the "
        "relaxation of a study; null to leave it out.",
    )


class ElasticCrystal(Record):
    """Experimental crystal with its measured elastic constants."""

    crystal_id: str = Field(description="Unique id of the crystal.")
    structure: Structure = Field(description="Experimental structure.")
    c11: float = Field(gt=0, description="Elastic constant in GPa.")
    c12: float = Field(gt=0, description="Elastic constant in GPa.")
    c44: float = Field(gt=0, description="Elastic constant in GPa.")
    reference: str = Field(description="Origin of the elastic constants.")


class PhysicsRecord(Record):
    """One measured number of one crystal, and the range in which it passes."""

    crystal_id: str = Field(description="Id of the crystal.")
    test: PhysicsTest = Field(description="Test.")
    measure: Measure = Field(description="What is measured.")
    value: float | None = Field(
        description="Value of the model: Å, GPa, THz, eV/atom or meV/atom/ps; null "
        "where the test failed to run."
    )
    experiment: float | None = Field(
        None, description="Measured value; null for a test without one."
    )
    lower: float | None = Field(None, description="Smallest value that passes.")
    upper: float | None = Field(None, description="Largest value that passes.")
    passed: bool = Field(description="Whether there is a value in that range.")
    error: str | None = Field(None, description="Why there is no value.")


class MeasureSummary(Record):
    """One measure over all crystals."""

    measure: Measure = Field(description="What is measured.")
    n_crystals: int = Field(ge=0, description="Crystals tested.")
    n_passed: int = Field(ge=0, description="Crystals that passed.")
    n_without_value: int = Field(ge=0, description="Crystals without a value.")
    relative_error: float | None = Field(
        description="Mean absolute relative deviation from experiment; null without "
        "experimental values."
    )


class PhysicsCounts(Record):
    """Summary of all tests of one model."""

    n_crystals: int = Field(ge=0, description="Crystals tested.")
    n_values: int = Field(ge=0, description="Numbers that were to be measured.")
    n_passed: int = Field(ge=0, description="Numbers within their range.")
    n_without_value: int = Field(ge=0, description="Tests that failed to run.")
    measures: list[MeasureSummary] = Field(description="Every measure of the tests.")


class ForgettingErrors(Record):
    """Deviation of a model from its source on perturbed experimental crystals.

    None of these numbers changes with the atomic reference energies.
    """

    n_crystals: int = Field(ge=0, description="Crystals that both can predict.")
    n_structures: int = Field(ge=0, description="Perturbed structures of these.")
    n_without_value: int = Field(ge=0, description="Crystals that one cannot predict.")
    deformation_energy_mae: float | None = Field(
        description="Mean absolute deviation of the energy of a perturbed structure "
        "relative to its unperturbed crystal in eV/atom."
    )
    forces_mae: float | None = Field(
        description="Mean absolute deviation of force components in eV/Å."
    )
    stress_mae: float | None = Field(
        description="Mean absolute deviation of stress components in GPa."
    )
    deformation_energy_interval: tuple[float, float] | None = Field(
        None,
        description="95 % interval of the deformation energy over crystals in eV/atom; "
        "null below five.",
    )
    forces_interval: tuple[float, float] | None = Field(
        None, description="95 % interval of forces over crystals in eV/Å."
    )
    stress_interval: tuple[float, float] | None = Field(
        None, description="95 % interval of stress over crystals in GPa."
    )


class FidelityErrors(Record):
    """Deviation of relaxed structures from relaxed labels."""

    n_materials: int = Field(ge=0, description="Materials with a relaxed label.")
    n_compared: int = Field(
        ge=0, description="Those with a converged relaxation of the same atoms."
    )
    volume_change: float | None = Field(
        description="Mean relative deviation of the volume; positive where too large."
    )
    volume_mae: float | None = Field(
        description="Mean absolute relative deviation of the volume."
    )
    rmsd: float | None = Field(
        description="Mean root-mean-square displacement of the sites at equal cell, "
        "in Å."
    )
    volume_change_interval: tuple[float, float] | None = Field(
        None,
        description="95 % interval of the mean deviation of the volume over materials; "
        "null below five.",
    )
    volume_mae_interval: tuple[float, float] | None = Field(
        None,
        description="95 % interval of the mean absolute deviation of the volume over "
        "materials.",
    )
    rmsd_interval: tuple[float, float] | None = Field(
        None, description="95 % interval of the displacement over materials in Å."
    )


class PhysicsComparison(Record):
    """Comparisons of a model with its source and with relaxed labels."""

    forgetting: ForgettingErrors | None = Field(
        None, description="Deviation from the source; null where left out."
    )
    fidelity: dict[str, FidelityErrors] = Field(
        default_factory=dict,
        description="Deviation from relaxed labels, for `all` materials and by split; "
        "empty where left out.",
    )


class PhysicsSummary(PhysicsCounts, PhysicsComparison):
    """All scores of one model but the rows."""


class PhysicsScore(PhysicsCounts):
    """Results of all tests of one model."""

    rows: list[PhysicsRecord] = Field(description="Every crystal and measure.")


class PhysicsDoc(PhysicsScore, PhysicsComparison, ModelDoc):
    """Tests of the potential energy surface of one model."""

    settings: PhysicsSettings = Field(description="Settings of the stage.")
