"""What an engine raises, as errors for people; its own words, which may quote rows, stay out."""

import errno

import duckdb
import pytest

from datacanal.domain.errors import BadField, DatacanalError
from datacanal.domain.product_errors import BuildFailed, BuildOutOfDisk, BuildOutOfMemory
from datacanal.products.building.failures import failure_of

RAISED: list[tuple[Exception, type[DatacanalError]]] = [
    (duckdb.OutOfMemoryException("could not allocate block of size 256.0 KiB"), BuildOutOfMemory),
    (duckdb.InvalidInputException("std::bad_alloc"), BuildOutOfMemory),
    (MemoryError(), BuildOutOfMemory),
    (duckdb.OutOfMemoryException("… the value of max_temp_directory_size …"), BuildOutOfDisk),
    (duckdb.IOException("Could not write file: No space left on device"), BuildOutOfDisk),
    (OSError(errno.ENOSPC, "No space left on device"), BuildOutOfDisk),
    (OSError(errno.EDQUOT, "over"), BuildOutOfDisk),
    (duckdb.ConversionException("Could not convert string 'Mrs Secret' to INT32"), BuildFailed),
    (PermissionError(errno.EACCES, "/store"), BuildFailed),
]


@pytest.mark.parametrize(("raised", "expected"), RAISED)
def test_what_was_raised_gets_its_place_in_the_tree(raised: Exception, expected: type[DatacanalError]) -> None:
    failure = failure_of(raised, 2**20)
    assert type(failure) is expected
    assert "Secret" not in failure.detail + failure.remedy
    assert "unknown)" not in failure.detail + failure.remedy


def test_an_error_of_the_tree_stays_what_it_is() -> None:
    error = BadField(field="key", reason="…")
    assert failure_of(error, 2**20) is error
