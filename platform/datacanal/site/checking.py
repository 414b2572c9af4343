"""What would be wrong if a site were started: every policy read whole and held against its lake. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from datacanal.configuration import LakeSection, SiteSection
from datacanal.domain.errors import DatasetUnreadable, LakeUnreadable
from datacanal.site.lakes.reading import LakeReader
from datacanal.site.lakes.scan import ListedFolder, Listing, list_lake
from datacanal.site.lakes.snapshots import FooterReader, take_snapshot
from datacanal.site.policy.governed import Governance, orphans
from datacanal.site.policy.model import Policy
from datacanal.site.policy.problems import PolicyProblem
from datacanal.site.policy.reading import PolicyText, read_policy, text_of


@dataclass(frozen=True)
class Checked:
    """What was found, in words for the owner: `problems` keep a site or a dataset from being used."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def check_lakes(site: SiteSection, now: datetime) -> Checked:
    """Every policy of the site's lakes, and what it says of the datasets that are there. Raises `LakeUnreadable`."""
    problems: list[str] = []
    warnings: list[str] = []
    with closing(LakeReader()) as reader:
        for lake in site.lakes:
            if lake.policy is None:  # products: their policy is made of what their publishers say
                continue
            for found in sorted(_problems(lake, lake.policy, reader, now), key=lambda one: one.line or 0):
                (warnings if found.warning else problems).append(found.text(quoting=True))
    return Checked(tuple(problems), tuple(warnings))


def _problems(lake: LakeSection, file: Path, reader: FooterReader, now: datetime) -> Iterator[PolicyProblem]:
    text = text_of(file)
    reading = read_policy(text, now.timestamp())
    yield from (*reading.problems, *reading.warnings)
    listing = _listed(lake)
    if reading.policy is not None:
        yield from (text.problem(found) for found, _ in orphans(reading.policy, list(listing)))
        yield from _misfits(lake, text, reading.policy, listing, reader)


def _listed(lake: LakeSection) -> Listing:
    try:
        return list_lake(lake.path)
    except OSError as error:
        raise LakeUnreadable(lake=lake.name, url=lake.url, reason=error.strerror or str(error)) from None


def _misfits(
    lake: LakeSection, text: PolicyText, policy: Policy, listing: Listing, reader: FooterReader
) -> Iterator[PolicyProblem]:
    """Only datasets that the policy names can fail to fit it; only their files are read."""
    governance = Governance(_no_key)
    named = {name.casefold() for name in policy.datasets}
    for name, folder in listing.items():
        if name.casefold() in named:
            yield from _of_dataset(lake, text, policy, governance, name, folder, reader)


def _of_dataset(
    lake: LakeSection,
    text: PolicyText,
    policy: Policy,
    governance: Governance,
    name: str,
    folder: ListedFolder,
    reader: FooterReader,
) -> Iterator[PolicyProblem]:
    try:
        snapshot = take_snapshot(Path(lake.path), lake.name, name, folder.files, reader, {})
    except DatasetUnreadable:
        return  # no word of the policy is wrong; the catalogue tells why the dataset cannot be read
    yield from map(text.problem, governance.of(policy, snapshot).findings)


def _no_key(_lake: str) -> str:
    """Nothing is shown while checking, so no key is made."""
    return ""
