"""Every table of the state store, for migrations."""

from __future__ import annotations

from datacanal.state import models, product_models
from datacanal.state.base import Base

__all__ = ["TABLES", "models", "product_models"]

TABLES = Base.metadata
