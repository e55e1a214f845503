"""Split of materials into training, validation and test sets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nextrung.schemas.dataset import SplitSettings


def split_materials(
    elements: Mapping[str, Collection[int]],
    settings: SplitSettings,
    groups: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Assign every material to a split.

    Parameters
    ----------
    elements : mapping of str to collection of int
        Atomic numbers of the elements of each material.
    settings : SplitSettings
        Fractions and seed.
    groups : mapping of str to str, optional
        Group of each material; a group is in one split. Each its own by default.

    Returns
    -------
    dict of str to str
        ``train``, ``val`` or ``test`` by material, in the order given; the split does
        not depend on the order.

    Raises
    ------
    InputError
        If there are too few materials for a fraction, too few to keep every element in
        training, or every group that is left is larger than a split.

    Notes
    -----
    Validation and test sets have ``int(fraction * n_materials)`` materials, as in Huang
    et al. (2025), and training has the rest. Where every element must be in training,
    groups are drawn for test and validation in random order, skipping those that are
    the last in training with one of their elements. A group that is larger than what a
    split lacks is skipped, so that splits may be smaller where groups are large.

    With folds, groups in random order are dealt to the smallest fold. Every material is
    tested by one of ``folds`` consecutive seeds that start at a multiple of ``folds``,
    but for those that are the last in training with one of their elements.
    """
    known = groups or {}
    members = list_members({name: known.get(name, name) for name in elements})
    held = {
        group: {number for name in names for number in elements[name]}
        for group, names in members.items()
    }
    n_holders = Counter(number for numbers in held.values() for number in numbers)
    splits = dict.fromkeys(elements, "train")
    if settings.folds is not None:
        folds = _draw_folds(members, settings, settings.folds)
        keep = settings.keep_elements_in_train
        for split, group in folds:
            if not keep or _release(held[group], n_holders):
                splits |= dict.fromkeys(members[group], split)
        _validate_filled(splits, elements, members)
        return splits
    n_held_out = {
        name: _size(share, len(elements), name)
        for name, share in (("test", settings.test), ("val", settings.val))
    }
    names = sorted(members)
    order = np.random.default_rng(settings.seed).permutation(len(names))
    waiting = [names[index] for index in order.tolist()]
    for split, size in n_held_out.items():
        n_missing = size
        for group in waiting:
            free = splits[members[group][0]] == "train"
            if not free or len(members[group]) > n_missing:
                continue
            if not settings.keep_elements_in_train or _release(held[group], n_holders):
                splits |= dict.fromkeys(members[group], split)
                n_missing -= len(members[group])
        if n_missing == size > 0 or (n_missing and len(members) == len(elements)):
            raise InputError(_describe_unfilled(split, elements, members))
    return splits


def _draw_folds(
    members: Mapping[str, Sequence[str]], settings: SplitSettings, n_folds: int
) -> list[tuple[str, str]]:
    """Draw the groups of the test and of the validation fold, with their split."""
    if len(members) < n_folds:
        raise InputError(
            f"dataset.split.folds: expected {n_folds} or more groups of materials that "
            f"are split as a whole, got {len(members)}"
        )
    turn, test = divmod(settings.seed, n_folds)
    names = sorted(members)
    folds: list[list[str]] = [[] for _ in range(n_folds)]
    sizes = [0] * n_folds
    for index in np.random.default_rng(turn).permutation(len(names)).tolist():
        smallest = sizes.index(min(sizes))
        folds[smallest].append(names[index])
        sizes[smallest] += len(members[names[index]])
    held_out = {"test": folds[test], "val": folds[(test + 1) % n_folds]}
    return [(split, group) for split, groups in held_out.items() for group in groups]


def _validate_filled(
    splits: Mapping[str, str],
    materials: Collection[str],
    groups: Collection[str],
) -> None:
    """Validate that a fold left materials in test and validation."""
    for split in ("test", "val"):
        if split not in splits.values():
            raise InputError(_describe_unfilled(split, materials, groups))


def list_members(groups: Mapping[str, str]) -> dict[str, list[str]]:
    """List the materials of each group.

    Parameters
    ----------
    groups : mapping of str to str
        Group of each material.
    """
    members: dict[str, list[str]] = {}
    for name, group in groups.items():
        members.setdefault(group, []).append(name)
    return members


def _describe_unfilled(
    split: str, materials: Collection[str], groups: Collection[str]
) -> str:
    """Describe in one line why a split cannot be filled."""
    if len(groups) == len(materials):
        return (
            f"the {split} split cannot be filled: too few of the {len(materials)} "
            "materials can be spared without losing an element from training"
        )
    return (
        f"the {split} split is empty: the {len(materials)} materials are "
        f"{len(groups)} {'group' if len(groups) == 1 else 'groups'}, each in one split "
        "as a whole and too large, or the last with an element "
        "(dataset.split.unit: material splits them)"
    )


def _release(held: Collection[int], n_holders: Counter[int]) -> bool:
    """Take a material out of training, unless an element would be lost."""
    if any(n_holders[number] == 1 for number in held):
        return False
    n_holders.subtract(held)
    return True


def _size(share: float, n_materials: int, name: str) -> int:
    """Compute the number of materials of a split; validate that it is not zero."""
    size = int(share * n_materials)
    if share > 0 and size == 0:
        raise InputError(
            f"the {name} split is empty: {share:g} of {n_materials} materials is less "
            "than one"
        )
    return size
