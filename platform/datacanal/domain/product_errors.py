"""What can go wrong with data products: publishing them, scheduling them, calling them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from datacanal.domain.errors import PolicyError, ResourceError, UserError


class InvalidParameter(TypedDict):
    """`suggestion` is the nearest valid one, or an empty text."""

    field: str
    reason: str
    suggestion: str


class InvalidParameters(UserError):
    """`invalid_parameters` has one entry per parameter that is wrong; the first one is in the message."""

    code = "invalid_parameters"
    says = "{first}"
    advises = "Correct the parameters that `invalid_parameters` names; …/schema tells what there is."

    def __init__(self, invalid: Sequence[InvalidParameter] = (), **data: object) -> None:
        first = f"{invalid[0]['field']}: {invalid[0]['reason']}" if invalid else "a parameter is not valid"
        super().__init__(**{"first": first, "invalid_parameters": list(invalid), **data})


class BadCursor(UserError):
    code = "bad_cursor"
    says = "The cursor cannot be used: {reason}."
    advises = "Take the whole link of `page.next` as it is, or leave the cursor out to begin anew."


class NoVersion(UserError):
    code = "no_version"
    says = "The product {product} has no {channel} version{when}."
    advises = "…/versions lists what there is."


class SnapshotGone(UserError):
    code = "snapshot_gone"
    says = "The snapshot {snapshot} of {product} is not kept any more."
    advises = "…/versions lists the snapshots that are; begin again on one of them."


class ProductRetired(UserError):
    code = "product_retired"
    says = "The product {product} was retired on {retired_at}."
    advises = "Ask its publisher, {owner}, what takes its place."


class NoSubscription(PolicyError):
    code = "no_subscription"
    says = "The data of {product} is not open to {principal}."
    advises = (
        "Subscribe to it: POST /v1/subscriptions at this gateway, or `datacanal subscription create {product}`; "
        "or ask its publisher, {owner}, to add you or one of your groups to its readers."
    )


class QueryTooSlow(ResourceError):
    code = "query_too_slow"
    says = "The query did not end within {limit_s} s."
    advises = "Ask for less: filter by the product's keys, select fewer columns, take smaller pages."
    retriable = True


class BadContract(UserError):
    code = "bad_contract"
    says = "{field}: {reason}"
    advises = "Correct the contract; nothing was changed."


class ProductExists(UserError):
    code = "product_exists"
    says = "There is a product {name!r} already."
    advises = "Publish a new version of it, or choose another name."


class NamespaceTaken(UserError):
    code = "namespace_taken"
    says = "The publisher name {publisher!r} belongs to {owner}."
    advises = "Choose a publisher name of your own, or ask its owner."


class VersionNotFound(UserError):
    code = "version_not_found"
    says = "The product {product} has no version {version}."
    advises = "`datacanal product versions {product}` lists them."


class ContractHeld(PolicyError):
    """`checks` names those that hold the version."""

    code = "contract_held"
    says = "Version {version} of {product} is held by its contract: {checks}."
    advises = "`datacanal product show {product} --version {version}` says what was found{accept}."


class PublishRefused(PolicyError):
    code = "publish_refused"
    says = "The owner of {dataset} at site {site} does not agree that this is published: {reason}."
    advises = "Leave the dataset out of the job, or ask its owner to change `publish` in the policy."


class PublishApprovalNeeded(PolicyError):
    code = "publish_approval_needed"
    says = "A steward of site {site} has to agree that {product} is published from {dataset}."
    advises = "Ask the steward: `datacanal approval list` at the site shows the request; then publish again."
    retriable = True


class ScheduleExists(UserError):
    code = "schedule_exists"
    says = "There is a schedule {name!r} already."
    advises = "Remove it first, or choose another name."


class BadCron(UserError):
    code = "bad_cron"
    says = "cron: {cron!r} is not valid: {reason}."
    advises = (
        "Write five fields: minute hour day-of-month month day-of-week; 30 18 * * 1-5 is half past six, Mon to Fri."
    )


class UnknownTimeZone(UserError):
    """`suggestion` is the nearest one, or an empty text."""

    code = "unknown_time_zone"
    says = "timezone: there is no time zone {timezone!r}."
    advises = "Write one of the IANA time zones, such as Asia/Shanghai{suggestion}."


class UnknownCalendar(UserError):
    """`suggestion` is the nearest one, or an empty text."""

    code = "unknown_calendar"
    says = "calendar: there is no calendar {calendar!r}."
    advises = "Write a calendar of exchange-calendars, such as XSHG or XNYS{suggestion}."


class NeverDue(UserError):
    code = "never_due"
    says = "cron: {cron!r} never comes due{where}."
    advises = "Correct the days, or take another calendar."


class NothingToPromote(UserError):
    code = "nothing_to_promote"
    says = "promote: it is about the versions of a product, and the schedule names none."
    advises = "Name a product, or leave promote out."


class RunLeftOut(ResourceError):
    """Why a time that was due did not become a job."""

    code = "run_left_out"
    says = "This time was left out: {reason}."
    advises = "`datacanal schedule run` runs the schedule now."


class BuildFailed(ResourceError):
    code = "build_failed"
    says = "The snapshot could not be made: {reason}."
    advises = "Publish again; if it stays, give the operator the product's name and this code."
    retriable = True


class BuildOutOfMemory(ResourceError):
    code = "build_out_of_memory"
    says = "The snapshot needs more memory than the {limit_bytes} bytes that a builder has."
    advises = "Publish fewer or narrower columns, or ask the operator for more memory for builders."


class BuildOutOfDisk(ResourceError):
    code = "build_out_of_disk"
    says = "No space is left for the snapshot or for sorting it."
    advises = "Ask the operator for more space in the store of products and in the service's home; then publish again."
    retriable = True
