"""Datacanal as containers, and the proof that its walls hold: `python -m compose`, which `make compose-demo` runs."""
