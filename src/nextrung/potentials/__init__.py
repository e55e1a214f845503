"""Potentials: graphs, CHGNet, relaxation and fine-tuning."""

from __future__ import annotations
