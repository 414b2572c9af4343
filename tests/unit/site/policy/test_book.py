"""Which policy is in force: files that change, files that break, and jobs that were planned before."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datacanal.domain.errors import PolicyChanged
from datacanal.site.policy import Policy, load_policy
from datacanal.site.policy.book import PolicyBook
from datacanal.site.store.database import open_database
from datacanal.site.store.policies import PolicyStore

PUBLIC = 'default_class = "public"\n'
CLOSED = 'default_class = "secret"\n'
NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


class House:
    """A book over one lake's policy file, with a clock that is moved by hand."""

    def __init__(self, folder: Path, text: str = PUBLIC) -> None:
        self.file = folder / "t.policy.toml"
        self.file.write_text(text)
        self.now = NOON
        self.store = PolicyStore(open_database(folder / "site.db"))
        self.book = self.opened()

    def opened(self) -> PolicyBook:
        policy = load_policy(self.file)
        return PolicyBook({"t": policy}, {"t": self.file}, self.store, lambda: self.now, keep_s=3600)

    def write(self, text: str) -> bool:
        self.file.write_text(text)
        return self.book.reload()

    def pass_s(self, seconds: float) -> int:
        self.now += timedelta(seconds=seconds)
        return int(self.now.timestamp())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_valid_new_file_is_in_force_at_once(house: House) -> None:
    before = house.book.current("t").digest
    assert not house.book.reload()
    assert house.write(CLOSED)
    assert house.book.current("t").default_class == "secret"
    assert house.book.current("t").digest != before
    assert house.book.problem("t") is None


def test_another_spelling_of_the_same_changes_nothing(house: House) -> None:
    assert not house.write("# note\n" + PUBLIC)
    assert len(house.store.versions("t")) == 1


def test_a_broken_file_leaves_the_old_policy_in_force_and_is_reported(house: House) -> None:
    assert house.write(PUBLIC + "\nwhat = 1\nmore = 2\n")
    assert house.book.current("t").default_class == "public"
    problem = house.book.problem("t")
    assert problem is not None
    assert problem.detail.startswith("t.policy.toml:3: what: this key is not known here (and 1 more")
    assert problem.remedy
    assert str(house.file.parent) not in problem.detail
    assert not house.book.reload()
    assert house.write(PUBLIC)
    assert house.book.problem("t") is None


def test_a_file_that_vanishes_leaves_the_old_policy_in_force(house: House) -> None:
    house.file.unlink()
    assert house.book.reload()
    assert house.book.current("t").default_class == "public"
    assert house.book.problem("t") is not None


def test_a_job_keeps_the_policy_that_it_was_issued_under(house: House) -> None:
    old = house.book.current("t").digest
    issued_s = house.pass_s(10)
    house.pass_s(10)
    house.write(CLOSED)
    house.pass_s(10)
    assert house.book.at("t", old, issued_s).default_class == "public"
    assert house.book.at("t", house.book.current("t").digest, issued_s).default_class == "secret"


def test_a_job_issued_after_the_change_may_not_use_the_old_policy(house: House) -> None:
    old = house.book.current("t").digest
    house.pass_s(10)
    house.write(CLOSED)
    with pytest.raises(PolicyChanged):
        house.book.at("t", old, house.pass_s(1.5))


def test_an_issuer_whose_clock_is_an_hour_ahead_is_told_that_the_policy_changed(house: House) -> None:
    old = house.book.current("t").digest
    issued_s = house.pass_s(10) + 3600
    house.write(CLOSED)
    with pytest.raises(PolicyChanged):
        house.book.at("t", old, issued_s)


def test_a_policy_replaced_too_long_ago_is_no_longer_kept_for_any_job(house: House) -> None:
    old = house.book.current("t").digest
    issued_s = house.pass_s(10)
    house.write(CLOSED)
    house.pass_s(3601)
    with pytest.raises(PolicyChanged):
        house.book.at("t", old, issued_s)


def test_a_digest_or_lake_that_never_was_is_refused(house: House) -> None:
    for lake, digest in (("t", "0" * 64), ("other", house.book.current("t").digest)):
        with pytest.raises(PolicyChanged):
            house.book.at(lake, digest, int(NOON.timestamp()))


def test_a_lake_that_never_had_a_policy_has_no_versions(house: House) -> None:
    assert house.store.versions("other") == []


def test_versions_outlive_the_process_and_returning_policies_get_a_second_one(house: House) -> None:
    issued_s = house.pass_s(10)
    old = house.book.current("t").digest
    house.write(CLOSED)
    house.pass_s(10)
    again = house.opened()
    assert again.at("t", old, issued_s).digest == old
    house.write(PUBLIC)
    assert [version.policy.default_class for version in house.store.versions("t")] == ["public", "secret", "public"]


def test_a_change_made_while_the_site_was_down_counts_from_its_start(house: House) -> None:
    old, issued_s = house.book.current("t").digest, house.pass_s(10)
    house.file.write_text(CLOSED)
    house.pass_s(10)
    assert house.opened().at("t", old, issued_s).default_class == "public"


def test_a_policy_read_back_from_the_store_is_the_policy_that_was_kept(house: House) -> None:
    house.write(
        """
        default_class = "secret"
        [datasets."платежи"]
        entity = "a"
        readers = ["group:risk"]
        [datasets."платежи".columns]
        a = { class = "join_key" }
        m = { class = "aggregate", min_group = 5, max_share = 0.5, buckets = [1, 2.5, 2020-01-01] }
        [[grants]]
        to = "principal:ana"
        datasets = ["платежи"]
        purpose = "fraud"
        expires = 2031-01-01T00:00:00Z
        """
    )
    kept = house.store.versions("t")[-1].policy
    assert kept == house.book.current("t") == Policy.model_validate(kept.document)


def test_the_text_of_a_file_tells_the_lines_of_its_keys(house: House) -> None:
    text = house.book.text("t")
    assert text is not None
    assert text.digest
    house.write(CLOSED)
    assert house.book.text("t") != text


def test_a_policy_without_a_file_is_in_force_and_never_reloaded(house: House) -> None:
    book = PolicyBook({"t": load_policy(house.file)}, {}, house.store, lambda: house.now, keep_s=3600)
    house.file.write_text(CLOSED)
    assert not book.reload()
    assert book.current("t").default_class == "public"
    assert book.text("t") is None


def test_a_policy_that_is_no_file_is_put_in_force_and_jobs_keep_theirs(house: House) -> None:
    before, other = load_policy(house.file), Policy(default_class="secret")
    book = PolicyBook({"t": before}, {}, house.store, lambda: house.now, keep_s=3600)
    issued = house.pass_s(1)
    assert not book.replace("t", before)
    house.pass_s(1)
    assert book.replace("t", other)
    assert book.current("t") == other
    assert book.at("t", before.digest, issued) == before
