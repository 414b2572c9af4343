"""Which groups are summed up together when some of the group columns are left out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datacanal.domain.errors import TooManyGroups
from datacanal.site.gate.suppression import Ints

COLUMNS_AT_MOST = 8
"""Group columns of which every choice is looked at: 255 of them."""


def blocks_of(columns: Sequence[Any]) -> list[Ints]:
    """For each choice of columns but all of them, the most first: the number of every row's block, if it says more.

    Rows are in one block where they agree in the chosen columns. Raises `TooManyGroups`.
    """
    if len(columns) > COLUMNS_AT_MOST:
        raise TooManyGroups(found=f"told apart by {len(columns)} columns", limit=COLUMNS_AT_MOST)
    codes = [_codes(column) for column in columns]
    found: dict[bytes, Ints] = {}
    for many in reversed(range(len(codes))):
        for chosen in itertools.combinations(codes, many):
            block = _combined(chosen, len(codes[0]))
            found.setdefault(block.tobytes(), block)
    return list(found.values())


def _codes(column: Any) -> Ints:
    """Equal numbers for equal values."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    if pa.types.is_floating(array.type):
        array = pc.add(array, pa.scalar(0, array.type))  # -0.0 is 0.0
    try:
        indices = array.dictionary_encode(null_encoding="encode").indices
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError):  # nested values
        indices = pa.array([repr(value) for value in array.to_pylist()], pa.string()).dictionary_encode().indices
    codes: Ints = indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _combined(codes: Sequence[Ints], rows: int) -> Ints:
    combined: Ints = np.zeros(rows, np.int64)
    for each in codes:
        _, combined = np.unique(combined * (each.max(initial=0) + 1) + each, return_inverse=True)
    return combined
