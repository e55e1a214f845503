"""Splitting of JSON files of any size into their members."""

from __future__ import annotations

from itertools import chain
from typing import IO, TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Bytes per read.
BLOCK = 1 << 20

#: Largest member in bytes; a missing quote or bracket makes a larger one.
MAX_MEMBER = 1 << 30

#: Nesting levels at which names are counted: of a member, and of its members.
COUNTED_LEVELS = (2, 3)

#: Scanner states: outside strings, in a string, after a backslash.
OUTSIDE, TEXT, ESCAPED = range(3)

QUOTE, BACKSLASH, COLON, COMMA = b'"\\:,'

#: Change of the nesting level by a byte outside strings; 2 for other tokens.
KINDS = np.zeros(256, np.int8)
KINDS[list(b"{[")] = 1
KINDS[list(b"}]")] = -1
KINDS[[QUOTE, COLON, COMMA]] = 2

#: Closing bracket by the opening one.
BRACKETS = {b"{": b"}", b"[": b"]"}


def cut_members(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Split a JSON object or list into its members without parsing them.

    Parameters
    ----------
    file : file
        File that holds one object or one list.

    Yields
    ------
    text : bytes
        A member in its own brackets: an object of one name, or a list of one item;
        empty brackets where a comma has no member.
    n_names : int
        Number of names in it, on the two levels below its own.

    Raises
    ------
    ValueError
        If the file does not begin with a bracket, is truncated, continues after its
        end, or has too large a member.

    Notes
    -----
    The file is JSON if and only if all members are.
    """
    blocks = iter(lambda: file.read(BLOCK), b"")
    first = next((block for block in map(bytes.lstrip, blocks) if block), b"")
    opening = first[:1]
    if opening not in BRACKETS:
        raise ValueError("no object or list" if opening else "nothing")
    closing = BRACKETS[opening]
    state, pending, n_cut = np.array([1, OUTSIDE, 0]), [opening], 0
    for block in chain([first[1:]], blocks):
        start = 0
        for end, n_names in _find_ends(np.frombuffer(block, np.uint8), state).tolist():
            text = b"".join([*pending, block[start:end], closing])
            if block[end : end + 1] == b"," or n_cut or text[1:-1].strip():
                yield text, n_names
            pending, start, n_cut = [opening], end + 1, n_cut + 1
        if not state[0]:
            rest = chain([block[start:]], blocks)
            if block[start - 1 : start] != closing or any(map(bytes.strip, rest)):
                raise ValueError(
                    "a closing bracket that does not match, or data after it"
                )
            return
        pending.append(block[start:])
        if len(pending) * BLOCK > MAX_MEMBER:
            raise ValueError("an entry that does not end")
    raise ValueError("the end of the file within an entry")


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _find_ends(block: NDArray[np.uint8], state: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find commas between members and the last bracket; count names before each.

    The state (open brackets, scanner state, names counted) is updated in place.
    """
    level, mode, n_names = state
    ends = [(0, 0)]  # numba cannot type an empty list
    position, mode = _leave_text(block, 0, mode)
    while position < len(block):
        byte = block[position]
        position += 1
        kind = KINDS[byte]
        if kind == 0:
            continue
        if byte == QUOTE:
            position, mode = _leave_text(block, position, TEXT)
        elif byte == COLON:
            n_names += level in COUNTED_LEVELS
        elif byte != COMMA:
            level += kind
        if level == 0 or (byte == COMMA and level == 1):
            ends.append((position - 1, n_names))
            n_names = 0
        if level == 0:
            break
    state[:] = level, mode, n_names
    return np.array(ends, np.int64)[1:]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _leave_text(block: NDArray[np.uint8], position: int, mode: int) -> tuple[int, int]:
    """Find the byte after a string, or the end of the block."""
    while position < len(block) and mode != OUTSIDE:
        byte = block[position]
        if mode == ESCAPED:
            mode = TEXT
        elif byte == BACKSLASH:
            mode = ESCAPED
        elif byte == QUOTE:
            mode = OUTSIDE
        position += 1
    return position, mode
