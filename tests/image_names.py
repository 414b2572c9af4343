"""The images that tests run on: those that `make images` makes, or those of one's own IMAGE_TAG."""

from __future__ import annotations

import os

TAG = os.environ.get("IMAGE_TAG", "latest")
WORKER = f"datacanal-worker:{TAG}"
SERVER = f"datacanal-server:{TAG}"
