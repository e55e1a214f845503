"""Where the members of a JSON object of any size begin and end."""

from __future__ import annotations

from itertools import chain
from typing import IO, TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Bytes that are read at once.
BLOCK = 1 << 20

#: Bytes beyond which a member is what a lost quote or bracket makes of a file.
MAX_MEMBER = 1 << 30

#: Levels below the file's own at which names are counted: of a member, of its members.
COUNTED_LEVELS = (2, 3)

#: What the scan is in: no text, a text, the byte after a backslash.
OUTSIDE, TEXT, ESCAPED = range(3)

QUOTE, BACKSLASH, COLON, COMMA = b'"\\:,'

#: How a byte outside of texts changes the level; 2 for others that matter.
KINDS = np.zeros(256, np.int8)
KINDS[list(b"{[")] = 1
KINDS[list(b"}]")] = -1
KINDS[[QUOTE, COLON, COMMA]] = 2

#: Closing bracket by the opening one.
BRACKETS = {b"{": b"}", b"[": b"]"}


def cut_members(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Cut a JSON object or list into its members without parsing them.

    Parameters
    ----------
    file : file
        File that holds one object or one list.

    Yields
    ------
    text : bytes
        A member in brackets of its own, so an object of one name, or a list of one
        item, where it is JSON; empty where a comma has no member.
    n_names : int
        How often a name is written in it, on the two levels below its own.

    Raises
    ------
    ValueError
        If the file does not begin with a bracket, breaks off, or goes on after its
        end, or a member is beyond all size.

    Notes
    -----
    The file is JSON if and only if every text that comes out is.
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
        for end, n_names in find_ends(np.frombuffer(block, np.uint8), state).tolist():
            text = b"".join([*pending, block[start:end], closing])
            if state[0] or n_cut or text[1:-1].strip():
                yield text, n_names
            pending, start, n_cut = [opening], end + 1, n_cut + 1
        if not state[0]:
            rest = chain([block[start:]], blocks)
            if block[start - 1 : start] != closing or any(map(bytes.strip, rest)):
                raise ValueError("an end that does not fit, or something after it")
            return
        pending.append(block[start:])
        if len(pending) * BLOCK > MAX_MEMBER:
            raise ValueError("an entry that does not end")
    raise ValueError("the end of the file within an entry")


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find_ends(block: NDArray[np.uint8], state: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the bytes at which members of the outermost object or list end.

    Parameters
    ----------
    block : ndarray of int, shape (n_bytes,)
        Part of a file.
    state : ndarray of int, shape (3,)
        What the next part goes on with, changed in place: open brackets, what the
        scan is in, names counted.

    Returns
    -------
    ndarray of int, shape (n_ends, 2)
        Place of each comma between members, and of the last bracket, after which the
        scan stops; names counted since the one before.
    """
    level, mode, n_names = state
    ends = [(0, 0)]  # numba makes no array of an empty list
    place, mode = _leave_text(block, 0, mode)
    while place < len(block):
        byte = block[place]
        place += 1
        kind = KINDS[byte]
        if kind == 0:
            continue
        if byte == QUOTE:
            place, mode = _leave_text(block, place, TEXT)
        elif byte == COLON:
            n_names += level in COUNTED_LEVELS
        elif byte != COMMA:
            level += kind
        if level == 0 or (byte == COMMA and level == 1):
            ends.append((place - 1, n_names))
            n_names = 0
        if level == 0:
            break
    state[:] = level, mode, n_names
    return np.array(ends, np.int64)[1:]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _leave_text(block: NDArray[np.uint8], place: int, mode: int) -> tuple[int, int]:
    """Find the byte after a text, or the end of the block."""
    while place < len(block) and mode != OUTSIDE:
        byte = block[place]
        if mode == ESCAPED:
            mode = TEXT
        elif byte == BACKSLASH:
            mode = ESCAPED
        elif byte == QUOTE:
            mode = OUTSIDE
        place += 1
    return place, mode
