"""Keys of the mask `hash`: one per lake, for the site's own eyes, the same over restarts."""

from pathlib import Path

from datacanal.site.policy.mask_keys import MaskKeys


def test_each_lake_has_a_key_of_its_own_that_stays(tmp_path: Path) -> None:
    counted = iter(range(256))
    keys = MaskKeys(tmp_path / "masks", lambda size: bytes([next(counted)]) * size)
    one, other = keys.of("one"), keys.of("other")
    assert one != other
    assert len(bytes.fromhex(one)) == 32
    assert MaskKeys(tmp_path / "masks", lambda size: b"x" * size).of("one") == one
    assert (tmp_path / "masks" / "one.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "masks").stat().st_mode & 0o777 == 0o700


def test_no_key_is_made_before_it_is_needed(tmp_path: Path) -> None:
    MaskKeys(tmp_path / "masks", lambda size: b"x" * size)
    assert not (tmp_path / "masks").exists()
