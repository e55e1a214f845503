"""Stored shards of a relaxation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.relaxation import ShardPlan

if TYPE_CHECKING:
    from jobflow import JobStore

#: Fields that are read of the document of each shard.
_FIELDS = ("output.plan", "output.n_materials", "output.provenance.fingerprint")


def find_shards(store: JobStore, plan: ShardPlan) -> list[tuple[ShardPlan, str, int]]:
    """Find the stored shards of the same model and materials, cut in any number.

    Parameters
    ----------
    store : JobStore
        A connected store.
    plan : ShardPlan
        Plan of any shard of the relaxation.

    Returns
    -------
    list of tuple of ShardPlan, str, int
        Plan, fingerprint and number of materials of each shard; settings may differ.
    """
    criteria = {
        "output.plan.checkpoint.sha256": plan.checkpoint.sha256,
        "output.plan.materials.sha256": plan.materials.sha256,
    }
    shards = []
    for found in store.query(criteria, list(_FIELDS)):
        output = found["output"]
        fingerprint = output["provenance"]["fingerprint"]
        stored = ShardPlan.model_validate(output["plan"])
        shards.append((stored, fingerprint, output["n_materials"]))
    return shards
