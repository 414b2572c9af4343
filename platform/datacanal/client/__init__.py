"""The Python client: submit a statement, follow the job, read the result as Arrow, pandas or Polars."""

from datacanal.client.client import Client
from datacanal.client.job import Job

__all__ = ["Client", "Job"]
