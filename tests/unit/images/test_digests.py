"""Names for what was made: the same parts, the same name."""

from __future__ import annotations

from pathlib import Path

from images.digests import code_files, digest, of_files


def tree(root: Path, **contents: str) -> list[Path]:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (root / name).write_text(text)
    return [root / name for name in contents]


def test_where_a_part_ends_is_part_of_the_name() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest(["ab", "c"]) == digest([b"ab", b"c"])


def test_the_same_files_elsewhere_in_another_order_have_the_same_name(tmp_path: Path) -> None:
    here = tree(tmp_path / "here", a="1", b="2")
    there = tree(tmp_path / "there", a="1", b="2")
    assert of_files(tmp_path / "here", here) == of_files(tmp_path / "there", reversed(there))


def test_another_content_or_another_name_is_another_name(tmp_path: Path) -> None:
    names = [
        of_files(tmp_path / each, tree(tmp_path / each, **contents))
        for each, contents in {"1": {"a": "x"}, "2": {"a": "y"}, "3": {"b": "x"}, "4": {"a": "x", "b": "x"}}.items()
    ]
    assert len(set(names)) == 4


def test_what_python_and_builds_leave_behind_is_no_code(tmp_path: Path) -> None:
    code = tree(tmp_path / "package", **{"one.py": "", "py.typed": ""})
    tree(tmp_path / "package" / "__pycache__", **{"one.cpython-311.pyc": ""})
    tree(tmp_path / "package.egg-info", **{"PKG-INFO": ""})
    assert sorted(code_files(tmp_path)) == sorted(code)
