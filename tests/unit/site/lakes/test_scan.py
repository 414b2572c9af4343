import os
from pathlib import Path

from datacanal.site.lakes.scan import list_lake


def put(root: Path, path: str, content: bytes = b"x") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_every_folder_is_a_dataset_whatever_script_its_name_is_in(tmp_path: Path) -> None:
    put(tmp_path, "order/a.parquet")
    put(tmp_path, "Zahlungen größer/b.PARQUET")
    put(tmp_path, "支付/c.parquet")
    put(tmp_path, "loose.parquet")
    assert set(list_lake(tmp_path)) == {"order", "Zahlungen größer", "支付"}


def test_hidden_and_underscored_entries_are_not_data(tmp_path: Path) -> None:
    put(tmp_path, "p/a.parquet")
    put(tmp_path, "p/.a.parquet")
    put(tmp_path, "p/_SUCCESS.parquet")
    put(tmp_path, "p/_delta_log/x.parquet")
    put(tmp_path, "p/notes.txt")
    put(tmp_path, ".import/x.parquet")
    put(tmp_path, "_staging/x.parquet")
    listing = list_lake(tmp_path)
    assert list(listing) == ["p"]
    assert [file.path for file in listing["p"].files] == ["p/a.parquet"]


def test_key_value_folders_give_decoded_partition_values(tmp_path: Path) -> None:
    put(tmp_path, "p/year=2020/city=S%C3%A3o%20Paulo/a.parquet")
    put(tmp_path, "p/_k=1/a.parquet")
    first, second = list_lake(tmp_path)["p"].files
    assert first.partition == (("_k", "1"),)
    assert second.partition == (("year", "2020"), ("city", "São Paulo"))


def test_rewriting_a_file_changes_its_etag(tmp_path: Path) -> None:
    file = put(tmp_path, "p/a.parquet", b"one")
    before = list_lake(tmp_path)
    put(tmp_path, "p/new.parquet", b"two").replace(file)
    assert list_lake(tmp_path) != before


def test_a_link_that_leads_back_up_does_not_loop(tmp_path: Path) -> None:
    put(tmp_path, "p/a.parquet")
    (tmp_path / "p" / "again").symlink_to(tmp_path / "p")
    assert [file.path for file in list_lake(tmp_path)["p"].files] == ["p/a.parquet"]


def test_names_that_no_statement_could_tell_apart_are_named(tmp_path: Path) -> None:
    put(tmp_path, "Loans/a.parquet")
    put(tmp_path, "loans/a.parquet")
    listing = list_lake(tmp_path)
    assert listing["Loans"].files
    assert "'Loans'" in listing["loans"].problem


def test_a_folder_whose_name_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    (listing,) = list_lake(tmp_path).items()
    assert listing[0] == "caf\ufffd"
    assert "UTF-8" in listing[1].problem
