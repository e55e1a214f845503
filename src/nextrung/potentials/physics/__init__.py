"""Tests of the potential energy surface of a potential."""
