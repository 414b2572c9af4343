"""`datacanal init DIR`: a configuration, two policies and two empty lakes to start from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from datacanal.domain.errors import BadField, FileNotWritable

_LAKES = {"transactions": ("payments", "payment_id"), "users": ("customers", "customer_id")}


@dataclass(frozen=True)
class Layout:
    """What differs between two such directories on one machine. `publish`: the owners agree to data products."""

    control_port: int = 8400
    gateway_port: int = 8401
    core_port: int = 8410
    people_port: int = 8411
    workers: int = 2
    publish: bool = False


def make_directory(directory: Path, layout: Layout) -> Path:
    """Fill an empty or new directory; gives the configuration file. Raises `BadField` for one that is not empty."""
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise BadField(field=str(directory), reason="it exists and is not an empty directory")
        for lake in _LAKES:
            (directory / "lakes" / lake).mkdir(parents=True, exist_ok=True)
        return write_configuration(directory, layout)
    except OSError as error:
        raise FileNotWritable(file=str(directory), reason=error.strerror or str(error)) from None


def write_configuration(directory: Path, layout: Layout) -> Path:
    """(Re)write the configuration and the policies; gives the configuration file."""
    for lake, (dataset, key) in _LAKES.items():
        policy = _template("policy.toml").substitute(lake=lake, dataset=dataset, key=key)
        policy += f'\n[datasets.{dataset}]\npublish = "allowed"\n' if layout.publish else ""
        (directory / f"{lake}.policy.toml").write_text(policy, encoding="utf-8")
    file = directory / "datacanal.toml"
    file.write_text(_template("datacanal.toml").substitute(vars(layout), file="datacanal.toml"), encoding="utf-8")
    return file


def _template(name: str) -> Template:
    return Template((files("datacanal.cli") / "templates" / name).read_text(encoding="utf-8"))
