"""Where a version's rows come from, as the job and its plan say."""

from __future__ import annotations

import hashlib

from datacanal.domain.errors import WrongState
from datacanal.protocol.plan import DatasetInput, Plan
from datacanal.protocol.products import Input, Lineage
from datacanal.protocol.public import PythonRequest
from datacanal.state.models import JobRow


def plan_of(job: JobRow) -> Plan:
    """The plan that the job ran. Raises `WrongState` for one that never had any."""
    if job.plan is None:
        raise WrongState(what=f"job {job.id}", state=job.state, action="be published", hint="Run it again.")
    return Plan.model_validate_json(job.plan)


def lineage_of(job: JobRow, plan: Plan, schedule: str | None = None) -> Lineage:
    """The job, its code, and every dataset that it read at the snapshot that it read."""
    return Lineage(
        job=job.id,
        plan=plan.digest,
        code=_code(job, plan),
        kernel=plan.kernel,
        inputs=inputs_of(plan),
        schedule=schedule,
    )


def inputs_of(plan: Plan) -> list[Input]:
    """Every dataset once, in the order of lakes and names."""
    found = {
        (given.lake, given.dataset): Input(
            lake=given.lake, dataset=given.dataset, site=step.site, snapshot=given.snapshot
        )
        for step in plan.steps
        for given in step.inputs
        if isinstance(given, DatasetInput)
    }
    return [found[key] for key in sorted(found)]


def statement_of(job: JobRow) -> str:
    """What the submitter wrote in SQL: the statement, or those that a function is given the results of."""
    if job.python is None:
        return job.sql
    python = PythonRequest.model_validate_json(job.python)
    return "\n\n".join(f"-- {name}\n{text}" for name, text in sorted(python.inputs.items()))


def _code(job: JobRow, plan: Plan) -> str:
    functions = [step.python.code.digest for step in plan.steps if step.python is not None]
    return functions[0] if functions else hashlib.sha256(job.sql.encode()).hexdigest()
