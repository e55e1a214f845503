"""Relaxation engines: FIRE with the Frechet cell filter over in-flight batches."""

from __future__ import annotations
