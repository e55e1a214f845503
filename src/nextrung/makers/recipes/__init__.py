"""Makers of the comparison of recipes."""
