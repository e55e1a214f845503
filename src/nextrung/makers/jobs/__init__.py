"""Base classes and decorator of all jobs: inputs, fingerprints, termination."""

from __future__ import annotations
