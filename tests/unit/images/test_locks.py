"""Lock files, read for the interpreter of an image rather than for ours."""

from __future__ import annotations

from pathlib import Path

from images.locks import Target, as_requirements, pins_for, read_pins

ROOT = Path(__file__).parents[3]
DEBIAN_12 = Target(python="3.11.2", machine="x86_64", libc_minor=36)
ONE, TWO, THREE = (digit * 64 for digit in "123")
LOCK = f"""\
# made by a tool
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:{ONE} \\
    --hash=sha256:{TWO}
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:{THREE}
pywin32==312 ; sys_platform == 'win32' \\
    --hash=sha256:{THREE}
uvicorn==0.54.0 \\
    --hash=sha256:{TWO}
"""


def test_the_images_python_decides_which_requirements_hold() -> None:
    assert as_requirements(pins_for(DEBIAN_12, LOCK)) == (
        f"numpy==2.4.6 --hash=sha256:{ONE} --hash=sha256:{TWO}\nuvicorn==0.54.0 --hash=sha256:{TWO}\n"
    )
    newer = Target(python="3.13.1", machine="aarch64", libc_minor=41)
    assert [pin.line()[:12] for pin in pins_for(newer, LOCK)] == ["numpy==2.5.5", "uvicorn==0.5"]


def test_wheels_are_chosen_for_the_images_python_and_c_library() -> None:
    options = DEBIAN_12.pip_options()
    assert options[:6] == ["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"]
    tags = options[7::2]
    assert tags[0] == "manylinux_2_36_x86_64"
    assert "manylinux2014_x86_64" in tags
    assert not any("2_37" in tag or "aarch64" in tag for tag in tags)


def test_every_pin_of_the_real_locks_has_a_hash() -> None:
    for name in ("runtime", "image"):
        pins = read_pins((ROOT / "requirements" / f"{name}.lock").read_text())
        assert pins
        assert [pin for pin in pins if not pin.hashes] == []


def test_images_have_what_the_runtime_has_in_the_same_versions_but_what_builds() -> None:
    runtime, image = (
        pins_for(DEBIAN_12, (ROOT / "requirements" / f"{name}.lock").read_text()) for name in ("runtime", "image")
    )
    assert {pin.requirement.name for pin in set(runtime) ^ set(image)} == {"setuptools"}
