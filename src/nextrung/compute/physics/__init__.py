"""Tests of the potential energy surface: strains, displacements and fits."""
