"""The watch: everything that left a site, searched for values that it may not have shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
from tests.policy.canaries.policies import TownPolicy
from tests.policy.canaries.town import HIDDEN, PEOPLE, Sum, key_of, numbers_in, sum_in, word_of

_SUMS = {
    "amount": "transactions.payments.amount",
    "credit": "transactions.accounts.credit",
    "income": "users.people.income",
}


@dataclass
class Watch:
    """What was seen of one town under one policy. `complaints` are sentences; none is what is hoped for."""

    policy: TownPolicy
    complaints: list[str] = field(default_factory=list)
    _sums: set[Sum] = field(default_factory=set)

    def saw_table(self, where: str, table: pa.Table, *, inside_transfer: bool) -> None:
        """A transfer's or a result's rows."""
        self.saw_text(where, " | ".join(_cells(table)), inside_transfer=inside_transfer)

    def saw_text(self, where: str, text: str, *, inside_transfer: bool = False) -> None:
        """Anything else: documents, errors, explanations, logs, events."""
        self._look_for_words(where, text)
        if not inside_transfer:
            self._look_for_keys(where, text)
        self._look_for_sums(where, text)

    def _look_for_words(self, where: str, text: str) -> None:
        lowered = text.casefold()
        for column, table in (("memo", "transactions.payments"), ("name", "users.people")):
            policy_class = self.policy.classes[f"{table}.{column}"]
            for person in range(PEOPLE):
                hidden = column == "name" and self.policy.hides and person in HIDDEN
                if policy_class == "public" and not hidden:
                    continue
                word = word_of(person, column)
                if any(form in lowered for form in _forms(word)):
                    self.complaints.append(f"{where}: {word} ({policy_class}{', a hidden row' if hidden else ''})")

    def _look_for_keys(self, where: str, text: str) -> None:
        governed = [name for name, cls in self.policy.classes.items() if name.endswith(".account_id")]
        if any(self.policy.classes[name] == "public" for name in governed):
            return
        found = set(numbers_in(text))
        for person in range(PEOPLE):
            if key_of(person) in found or hashlib.md5(str(key_of(person)).encode()).hexdigest() in text:  # noqa: S324
                self.complaints.append(f"{where}: the join key {key_of(person)}")

    def _look_for_sums(self, where: str, text: str) -> None:
        for new in (found for number in numbers_in(text) if (found := sum_in(number))):
            if self.policy.classes[_SUMS[new.column]] == "public":
                continue
            if len(new.people) < self.policy.min_group:
                self.complaints.append(f"{where}: a number of {len(new.people)} people, {new}")
            for old in self._sums:
                if old.column == new.column and 0 < old.differs_from(new) < self.policy.min_group:
                    self.complaints.append(f"{where}: {new} and {old} differ by {old.differs_from(new)} people")
            self._sums.add(new)


def _cells(table: pa.Table) -> Iterator[str]:
    for row in table.to_pylist():
        yield from (str(value) for value in _leaves(row.values()))


def _leaves(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, dict):
            yield from _leaves([*value.keys(), *value.values()])
        elif isinstance(value, list | tuple):
            yield from _leaves(value)
        elif isinstance(value, bytes):
            yield value.decode("utf-8", "replace")
        else:
            yield f"{value:.0f}" if isinstance(value, float) and abs(value) < 1e40 else value


def _forms(word: str) -> tuple[str, ...]:
    """The word as it stands and as somebody might try to carry it out."""
    encoded = word.encode()
    return (
        word.casefold(),
        word[::-1].casefold(),
        hashlib.md5(encoded).hexdigest(),  # noqa: S324  # not for security: what DuckDB's md5 gives
        hashlib.sha256(encoded).hexdigest(),
        encoded.hex(),
        word[7:].casefold(),
    )
