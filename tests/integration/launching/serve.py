"""The launcher as `datacanal serve launcher` runs it, but that its containers do what a test tells them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tests.integration.launching.inmate import COMMAND

from datacanal.configuration import load_configuration
from datacanal.logs import configure_logs
from datacanal.site.launcher.service import run_launcher
from datacanal.site.launcher.settings import launcher_settings

if __name__ == "__main__":
    configure_logs("launcher")
    run_launcher(replace(launcher_settings(load_configuration(Path(sys.argv[1]))), command=COMMAND))
