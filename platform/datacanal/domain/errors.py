"""The one error tree: every failure a person can meet, with its stable code, kind and remedy.

A class names the failure; its keyword arguments are the data that the message and the wire carry. HTTP status codes
live in `datacanal.serving.problems`, exit codes in `datacanal.cli.exits`, both decided by kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """Whose problem it is, which decides status, exit code and whether a retry can help."""

    USER = "user"
    POLICY = "policy"
    RESOURCE = "resource"
    EXTERNAL = "external"
    INTERNAL = "internal"


class DatacanalError(Exception):
    """Base of all failures: `code` is stable, `data` is JSON-able, `detail` and `remedy` are for people."""

    code: ClassVar[str] = "internal_error"
    kind: ClassVar[Kind] = Kind.INTERNAL
    says: ClassVar[str] = "Something failed inside Datacanal."
    advises: ClassVar[str] = "Try again; if it stays, give the operator the job id and this code."
    retriable: ClassVar[bool] = False

    def __init__(self, **data: object) -> None:
        self.data: dict[str, object] = data
        super().__init__(self.detail)

    @property
    def detail(self) -> str:
        """What was wrong and where; `input` in the data is the input of a function whose SQL it is about."""
        place = f"In the input {self.data['input']!r}: " if "input" in self.data else ""
        return place + self.says.format_map(_Filled(self.data))

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self.advises.format_map(_Filled(self.data))


class _Filled(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return f"({key} unknown)"


class RemoteError(DatacanalError):
    """A failure that another process reported: carries that process's code, kind and words unchanged."""

    def __init__(
        self, *, code: str, kind: Kind, detail: str, remedy: str, retriable: bool, data: Mapping[str, object]
    ) -> None:
        self._detail = detail
        self._remedy = remedy
        super().__init__(**data)
        self.code = code  # type: ignore[misc]  # this class alone learns its identity from the wire
        self.kind = kind  # type: ignore[misc]
        self.retriable = retriable  # type: ignore[misc]

    @property
    def detail(self) -> str:
        return self._detail

    @property
    def remedy(self) -> str:
        return self._remedy


def error_classes(root: type[DatacanalError] = DatacanalError) -> Iterator[type[DatacanalError]]:
    """Every class of the tree that has a code of its own, depth first; the documentation's table is made from it."""
    for cls in root.__subclasses__():
        if "code" in cls.__dict__:
            yield cls
        yield from error_classes(cls)


# ---------------------------------------------------------------- what the user wrote


class UserError(DatacanalError):
    kind = Kind.USER


class BadRequest(UserError):
    code = "bad_request"
    says = "The request is not valid: {reason}"
    advises = "Compare it with the API document at /openapi.json."


class BadField(UserError):
    code = "bad_field"
    says = "{field}: {reason}"
    advises = "Correct this field; nothing was changed."


class TimeoutTooLong(UserError):
    code = "timeout_too_long"
    says = "{field}: {asked_s} s is more than the {limit_s} s that this service allows."
    advises = "Ask for less, or leave it out; the operator may raise limits.{clock}."


class BodyTooLarge(UserError):
    code = "body_too_large"
    says = "The request body is larger than {limit_bytes} bytes."
    advises = "Send less in one request."


class AddressTooLong(UserError):
    code = "address_too_long"
    says = "The address is longer than {limit_bytes} bytes."
    advises = "Ask for fewer values in one request."


class HeadTooLong(UserError):
    code = "head_too_long"
    says = "The head of the request is longer than {limit_bytes} bytes."
    advises = "Send fewer or shorter headers, and a shorter address."


class BodyTooSlow(UserError):
    code = "body_too_slow"
    says = "The request did not arrive whole within {limit_s} s."
    advises = "Send the request again over a working connection."


class NotFound(UserError):
    code = "not_found"
    says = "There is no {what} {name!r}."
    advises = "Check the name; what belongs to somebody else is not shown."


class MethodNotAllowed(UserError):
    code = "method_not_allowed"
    says = "{method} is not possible on this address."
    advises = "Compare the request with the API document at /openapi.json."


class MediaTypeNotSupported(UserError):
    code = "media_type_not_supported"
    says = "The request body has the media type {given}; only {supported} is read here."
    advises = "Send the body as {supported} and say so in the Content-Type header."


class NotAcceptable(UserError):
    code = "not_acceptable"
    says = "The answer is {produced}, which the Accept header does not allow."
    advises = "Accept {produced}, or ask for another format."


class RangeNotSatisfiable(UserError):
    code = "range_not_satisfiable"
    says = "The range {range!r} does not fit an answer of {length_bytes} bytes."
    advises = "Ask for `bytes=N-` with N below the length, or leave the Range header out."


class Unauthenticated(UserError):
    code = "unauthenticated"
    says = "There is no valid token with this request: {reason}."
    advises = "Set DATACANAL_TOKEN, or create a token with `datacanal token create`."


class Forbidden(UserError):
    code = "forbidden"
    says = "The role {role!r} may not {action}."
    advises = "Ask an administrator for a token whose role is one of: {allowed}."


class IdempotencyConflict(UserError):
    code = "idempotency_conflict"
    says = "The Idempotency-Key {key!r} was used before for another request."
    advises = "Use a new key for a new request."


class WrongState(UserError):
    code = "wrong_state"
    says = "The {what} is {state}, so it cannot {action}."
    advises = "{hint}"


class NotAvailable(UserError):
    code = "not_available"
    says = "{key}: {what} is not built yet."
    advises = "{hint}"


class BadConfiguration(UserError):
    code = "bad_configuration"
    says = "{file}: {key}: {reason}"
    advises = "Correct this key; `datacanal check --config FILE` validates without starting."


class BadPolicy(UserError):
    code = "bad_policy"
    says = "{place}: {key}: {reason}{more}"
    advises = "{hint}"


class PortInUse(UserError):
    code = "port_in_use"
    says = "{key}: the address {address} is in use by another process."
    advises = "Choose another port in the configuration, or stop the process that holds it."


class AlreadyRunning(UserError):
    code = "already_running"
    says = "Another Datacanal already runs on the state in {home}."
    advises = "Stop it first, or choose another `home`."


class ImportRefused(UserError):
    code = "import_refused"
    says = "{file}: {reason}"
    advises = "{hint}"


class FileNotWritable(UserError):
    code = "file_not_writable"
    says = "{file} cannot be written: {reason}"
    advises = "Choose another place, or free the space it needs."


class ContainerRefused(UserError):
    code = "container_refused"
    says = "The launcher of site {site!r} starts no such container: {reason}"
    advises = "{hint}"


class ContainerDiffers(UserError):
    code = "container_differs"
    says = "Site {site!r} has another {what} called {name!r}."
    advises = "Choose a new name, or remove that one first."


class JobCancelled(UserError):
    code = "job_cancelled"
    says = "The job {job!r} was cancelled."
    advises = "Submit it again (`datacanal job retry`) if it is still wanted."


class BadParameter(UserError):
    code = "bad_parameter"
    says = "The parameter ${name}: {reason}"
    advises = "Give each $name of the statement one value: null, true/false, number, text, or a list of them."


class BadArgument(UserError):
    code = "bad_argument"
    says = "{function}(): the parameter {name!r}: {reason}"
    advises = "Its parameters are: {parameters}."


class BadFunction(UserError):
    code = "bad_function"
    says = "{field}: {reason}"
    advises = "Correct it where the function is declared; nothing was changed."


class FunctionNotSendable(UserError):
    code = "function_not_sendable"
    says = "The function {function!r} cannot be sent to a site: {reason}"
    advises = "{hint}"


# ---------------------------------------------------------------- the statement


class StatementError(UserError):
    """A refusal of a statement before anything ran; `position` is a character offset where one is known."""


class SqlSyntax(StatementError):
    code = "sql_syntax"
    says = "The statement does not parse: {reason}"
    advises = "{hint}"


class SqlTooLong(StatementError):
    code = "sql_too_long"
    says = "The statement has {size_bytes} bytes; the limit is {limit_bytes}."
    advises = "Put long lists into a dataset, or split the statement."


class SqlTooDeep(StatementError):
    code = "sql_too_deep"
    says = "The statement nests deeper than {limit} levels."
    advises = "Flatten the nesting, for instance with common table expressions."


class SqlBadText(StatementError):
    code = "sql_bad_text"
    says = "The statement holds a character that is not allowed: {what}."
    advises = "Remove it."


class NotASelect(StatementError):
    code = "sql_not_a_select"
    says = "Only one SELECT (or a set operation of SELECTs) can run; this is {found}."
    advises = "Write the question as one SELECT."


class ConstructNotAllowed(StatementError):
    code = "sql_construct_not_allowed"
    says = "{construct} is not allowed."
    advises = "{hint}"


class FunctionNotAllowed(StatementError):
    code = "function_not_allowed"
    says = "The function {name!r} is not on the list of allowed functions."
    advises = "{hint}"


class DatasetNotFound(StatementError):
    code = "dataset_not_found"
    says = "There is no dataset {name!r}."
    advises = "{hint}"


class AmbiguousDataset(StatementError):
    code = "dataset_ambiguous"
    says = "The name {name!r} is in more than one lake: {candidates}."
    advises = "Write lake.dataset."


class ColumnNotFound(StatementError):
    code = "column_not_found"
    says = "{reason}"
    advises = "{hint}"


class AmbiguousColumn(StatementError):
    code = "column_ambiguous"
    says = "{reason}"
    advises = "Write the table's name or alias before the column."


class DoesNotBind(StatementError):
    code = "sql_does_not_bind"
    says = "The statement parses but has no meaning over these datasets: {reason}"
    advises = "Correct the types or names in the statement."


class PlanningTooExpensive(StatementError):
    code = "planning_too_expensive"
    kind = Kind.RESOURCE
    says = "Planning the statement exceeded {limit}."
    advises = "Avoid huge constants (for instance repeat with a large count) in the statement."


# ---------------------------------------------------------------- policy and budgets


class PolicyError(DatacanalError):
    kind = Kind.POLICY


class BudgetExceeded(PolicyError):
    code = "egress_budget_exceeded"
    says = "This release of {rows} rows and {bytes} bytes exceeds the budget {budget} of lake {lake!r} ({limit})."
    advises = "Ask for less (aggregate, filter, fewer columns), or ask the data's owner for a larger budget."


class ScanBudgetExceeded(PolicyError):
    code = "scan_budget_exceeded"
    says = "The job would scan about {estimated_bytes} bytes; the limit is {limit_bytes}."
    advises = "Read fewer columns or narrower ranges."


class QueryBudgetExceeded(PolicyError):
    code = "aggregate_budget_exceeded"
    says = "The budget of {limit} aggregate queries a day over {dataset} is used up."
    advises = "Ask again tomorrow (days are UTC), or ask the data's owner for a larger budget."


class PolicyRefused(PolicyError):
    """`column` is `lake.dataset.column`, `rule` the sentence of the policy that forbids the use."""

    code = "policy_refused"
    says = "The statement may not use {column} like this: {rule}"
    advises = "{hint}"


class NoLegalPlan(PolicyError):
    code = "policy_no_legal_plan"
    says = "No site may see everything that this statement brings together: {columns}. {reason}"
    advises = "{hint}"


class NotAReader(PolicyError):
    code = "policy_not_a_reader"
    says = "{principal!r} may not use {dataset}: {reason}"
    advises = "Ask the data's owner to list you or your group under readers, or for a grant with your purpose."


class PythonRefused(PolicyError):
    code = "policy_python_refused"
    says = "Python may not read {dataset} at site {site!r}: {reason}"
    advises = "{hint}"


class ApprovalNeeded(PolicyError):
    code = "approval_needed"
    says = "A steward of site {site!r} has to approve the function {name!r} first (code {code_digest}, image {image})."
    advises = "Ask the steward: `datacanal approval list` at the site shows it. Then submit the job again."


class PythonNeedsContainers(PolicyError):
    code = "python_needs_containers"
    says = "Site {site!r} has no containers, and would run a function with all of its own rights."
    advises = 'Ask its operator for sites.pool.backend = "docker".'


class PolicyChanged(PolicyError):
    code = "policy_changed"
    says = "The policy of lake {lake!r} was changed after this job was planned."
    advises = "Run the job again; it is then planned under the policy of now."


class LabelsDiffer(PolicyError):
    code = "labels_differ"
    says = "Site {site!r} works out other labels than it was told for {columns}: {reason}"
    advises = "This is a fault of the control plane, of another site or of the link: give the operator the job id."


class AuthorityRefused(PolicyError):
    code = "authority_refused"
    says = "Site {site!r} does not believe that the submitter asked for this step: {reason}"
    advises = "Submit the job again; if it stays, give the operator the job id and this code."


class TooManyGroups(PolicyError):
    code = "policy_too_many_groups"
    says = "The groups of this statement cannot be guarded: they are {found}, of which at most {limit} are possible."
    advises = "Group by fewer or coarser columns, or filter first."


class LogsRefused(PolicyError):
    code = "logs_refused"
    says = "Site {site!r} keeps what the attempts of job {job!r} said: {reason}."
    advises = "Read it at the site (`datacanal site log JOB`), or ask the data's owner for [logs] release."


class StepRefused(PolicyError):
    code = "step_refused"
    says = "Site {site!r} refused the step: {reason}"
    advises = "{hint}"


# ---------------------------------------------------------------- limits


class ResourceError(DatacanalError):
    kind = Kind.RESOURCE


class OutOfMemory(ResourceError):
    code = "out_of_memory"
    says = "The step needed more memory than {limit_bytes} bytes (sites.pool.memory)."
    advises = "Ask for less at once, or ask the operator for more memory per worker."


class OutOfDisk(ResourceError):
    code = "out_of_disk"
    says = "The step filled its scratch space: {reason}"
    advises = "Ask for less at once, or ask the operator for more scratch space."


class OutputTooLarge(ResourceError):
    code = "output_too_large"
    says = "The step's output exceeds {limit_bytes} bytes."
    advises = "Ask for less: aggregate, filter, or name fewer columns."


class NoSubnetLeft(ResourceError):
    code = "no_subnet_left"
    says = "No addresses are left for the network of pool {pool!r}: all of {subnets} is in use."
    advises = "Stop pools that are not needed, or give launcher.subnets a larger range."


class TimeoutExceeded(ResourceError):
    code = "timeout"
    says = "The job exceeded its {clock} of {limit_s} s."
    advises = "Ask for less, or submit it with a larger {clock}."


class QueueFull(ResourceError):
    code = "queue_full"
    says = "{waiting} jobs wait already; the limit is {limit}."
    advises = "Try again later."


class ResultExpired(ResourceError):
    code = "result_expired"
    says = "The result of job {job!r} expired at {expired_at}."
    advises = "Run the job again (`datacanal job retry`)."


# ---------------------------------------------------------------- the statement while it ran


class RunError(DatacanalError):
    """The statement failed while it ran. The engine's own words may quote data, so only a code leaves the site.

    `position` is the character of the step's text that the engine pointed at, where it did.
    """

    kind = Kind.USER

    @property
    def detail(self) -> str:
        place = f" (at character {self.data['position']} of the step's text)" if "position" in self.data else ""
        return f"{super().detail}{place}"


class ConversionFailed(RunError):
    code = "conversion_failed"
    says = "A value could not be converted to the type the statement asks for."
    advises = "Use TRY_CAST, or filter the values first."


class ValueOutOfRange(RunError):
    code = "value_out_of_range"
    says = "A number or date went out of the range of its type."
    advises = "Cast to a wider type first, for instance HUGEINT or DOUBLE."


class DivisionByZero(RunError):
    code = "division_by_zero"
    says = "A division by zero."
    advises = "Use nullif(divisor, 0)."


class RunInvalidInput(RunError):
    code = "run_invalid_input"
    says = "A function or operator got a value it does not take, or a scalar subquery gave several rows."
    advises = "Check the arguments; a scalar subquery must give one row (use LIMIT 1, min or max)."


class PythonRaised(RunError):
    code = "python_raised"
    says = "The function raised an exception; its words stay at site {site!r}."
    advises = "Try it on sample data first; a steward of the site may read what it said."


class PythonReturnedNoTable(RunError):
    code = "python_returned_no_table"
    says = "The function returned something that is no table."
    advises = "Return a pyarrow Table, a pandas or Dask DataFrame, or a DuckDB relation."


class ContractBroken(RunError):
    code = "contract_broken"
    says = "The function returned other columns than the job declares: {columns}."
    advises = "Return exactly these columns with these types, or declare the ones that it returns."


class CodeNotLoaded(RunError):
    code = "code_not_loaded"
    says = "The function could not be loaded at site {site!r}."
    advises = "Send it from the Python version that the site's image has; import what it needs inside it."


class EnvironmentDiffers(UserError):
    code = "environment_differs"
    says = "The function was written for another environment than site {site!r} has: {differences}."
    advises = "Install the versions of the site, or ask its operator for an image with yours."


class FormatCannotHold(RunError):
    code = "format_cannot_hold"
    says = "A value of {columns} does not fit into the type that the format {format!r} has for it."
    advises = "Fetch the result as csv or json, which hold every number whole, or cast the column in the statement."


class EngineFailed(DatacanalError):
    """The engine failed in a way that has no code of its own: the same statement would fail again."""

    code = "engine_failed"
    says = "The engine could not run the step: {reason}"
    advises = "Give the operator the job id; the engine's own words are in the site's record of the attempt."


# ---------------------------------------------------------------- things outside


class ExternalError(DatacanalError):
    kind = Kind.EXTERNAL


class SnapshotChanged(ExternalError):
    code = "snapshot_changed"
    says = "A file of {dataset} changed or vanished after the job was planned: {file}."
    advises = "Run the job again; it then plans over the newest files."


class DatasetUnreadable(ExternalError):
    code = "dataset_unreadable"
    says = "{dataset} cannot be read: {reason}"
    advises = "The data's owner must repair or remove the file named."


class LakeUnreadable(ExternalError):
    code = "lake_unreadable"
    says = "The lake {lake!r} at {url} cannot be read: {reason}"
    advises = "Check that the folder exists and that this site's user may read it."


class SiteUnreachable(ExternalError):
    code = "site_unreachable"
    retriable = True
    says = "Site {site!r} could not be reached: {reason}"
    advises = "Check the site and the link to it; the job can be retried."


class ServiceUnreachable(ExternalError):
    code = "service_unreachable"
    retriable = True
    says = "The service at {url} cannot be reached: {reason}"
    advises = "Check the address (DATACANAL_URL, of a gateway DATACANAL_GATEWAY) and that `datacanal up` runs."


class ServiceBusy(ExternalError):
    code = "service_busy"
    retriable = True
    says = "The service cannot answer now: {reason}"
    advises = "Try again in a few seconds."


class StoreUnavailable(ExternalError):
    code = "store_unavailable"
    retriable = True
    says = "The service's database cannot be used now: {reason}."
    advises = "Try again in a few seconds; nothing is lost. If it stays, tell the operator."


class TransferRefused(ExternalError):
    code = "transfer_refused"
    says = "The transfer was refused: {reason}"
    advises = "Run the job again; tickets are made anew."


class TransferDamaged(ExternalError):
    code = "transfer_damaged"
    retriable = True
    says = "A transfer from site {site!r} arrived damaged: {reason}"
    advises = "Check the network between the sites; the job can be retried."


class OutputLost(ExternalError):
    code = "output_lost"
    retriable = True
    says = "The output of step {step!r} is no longer at site {site!r}."
    advises = "Run the job again."


class StartFailed(ExternalError):
    code = "start_failed"
    says = "{what} did not start: {reason}"
    advises = "Correct the cause that was told above, or look into the logs of its state directory."


class ResultDamaged(ExternalError):
    code = "result_damaged"
    says = "The result of job {job!r} arrived damaged: {reason}"
    advises = "Fetch it again (`datacanal job result`)."


class AttemptLost(ExternalError):
    """The process or pool that ran an attempt died or fell silent; another attempt may succeed."""

    code = "attempt_lost"
    retriable = True
    says = "The attempt was lost: {reason}"
    advises = "The step was tried again as often as allowed; see `datacanal job logs`."


class PoolDidNotStart(ExternalError):
    code = "pool_did_not_start"
    retriable = True
    says = "The worker pool did not start: {reason}"
    advises = "See pool.log in the site's home; the pool is started again with the next step."


class LauncherUnreachable(ExternalError):
    code = "launcher_unreachable"
    retriable = True
    says = "The launcher cannot be reached at {socket}: {reason}"
    advises = "Check that `datacanal serve launcher` runs, and that this site's user may open the socket."


class ContainerEngineUnreachable(ExternalError):
    code = "container_engine_unreachable"
    retriable = True
    says = "The container engine at {docker_host} cannot be reached: {reason}"
    advises = "Start it, or correct launcher.docker_host; the launcher's user must be allowed to open its socket."


class ContainerEngineRefused(ExternalError):
    code = "container_engine_refused"
    says = "The container engine did not {action}: {reason}"
    advises = "Correct what the engine names; its own log says more."


class ImageNotFound(ExternalError):
    code = "image_not_found"
    says = "The container engine has no image {image!r}."
    advises = "Build it with `make images`, or correct launcher.image."


class BootSuperseded(ExternalError):
    """Another boot of the site's agent has said hello since, or this one never did."""

    code = "boot_superseded"
    says = (
        "The launcher does not start anything for boot {boot} of site {site!r}: it is not the one that said hello last."
    )
    advises = "The agent says hello again by itself; an agent that was replaced ends."


class KernelMismatch(ExternalError):
    code = "kernel_mismatch"
    says = "Site {site!r} runs {found}, but the plan needs {needed}."
    advises = "Update the site or the control plane so that their versions agree."


class PeerUnknown(ExternalError):
    code = "peer_unknown"
    says = "Site {site!r} does not know the key of site {peer!r}: {reason}"
    advises = "The owner compares fingerprints (`datacanal site identity`) and pins it with `datacanal site trust`."


class JoinRefused(ExternalError):
    code = "join_refused"
    says = "The control plane does not take in site {site!r}: {reason}"
    advises = "Make a new token with `datacanal token create --role site --name NAME` and start the site with it."


class RecordDamaged(ExternalError):
    code = "record_damaged"
    says = "The record of site {site!r} does not hold at entry {seq}: {reason}"
    advises = "Keep the file as it is, compare it with a backup, and tell the data's owner."


class SessionLost(ExternalError):
    """The control plane does not know the agent's session: it restarted, or another boot of the agent took over."""

    code = "session_lost"
    retriable = True
    says = "Site {site!r} has no session of this id."
    advises = "The agent says hello again by itself."


class StaleFence(ExternalError):
    code = "stale_fence"
    says = "The report for step {step!r} carries fence {fence}, which is no longer the current one."
    advises = "The step was taken over; drop this attempt."
