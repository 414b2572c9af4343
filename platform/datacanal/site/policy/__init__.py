"""A lake's egress policy: its language, its file, what it says of a dataset, and which version is in force."""

from datacanal.site.policy.model import Allowance, Policy
from datacanal.site.policy.reading import load_policy

__all__ = ["Allowance", "Policy", "load_policy"]
