"""Builds the container images: `python -m images`, which `make images` runs. Knows nothing of the package it packs."""
