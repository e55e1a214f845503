"""What every job shares: decorator, fingerprints, inputs, routing, termination."""

from __future__ import annotations
