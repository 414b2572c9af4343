"""Datacanal: federated analytics across data lakes that stay where they are."""

__version__ = "0.1.0"
