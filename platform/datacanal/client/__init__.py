"""The Python client: submit a statement or a function, follow the job, read the result as Arrow, pandas or Polars."""

from datacanal.client.client import Client
from datacanal.client.job import Job
from datacanal.client.python_job import PythonJob

__all__ = ["Client", "Job", "PythonJob"]
