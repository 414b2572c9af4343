"""What can go wrong with accounts, subscriptions, keys, quotas, tariffs and the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from datacanal.domain.errors import ExternalError, Kind, PolicyError, ResourceError, UserError


class KeyMalformed(UserError):
    code = "key_malformed"
    says = "The API key is not whole: its check digits do not fit."
    advises = "Copy it again, all of it: dck_, live or test, the id and the secret."


class KeyWrong(UserError):
    code = "key_wrong"
    says = "The API key is wrong."
    advises = "Use the key that was shown when it was made, or make a new one."


class KeyExpired(UserError):
    code = "key_expired"
    says = "The API key {key} expired on {expired_at}."
    advises = "Make a new one: `datacanal key create`."


class KeyRevoked(UserError):
    code = "key_revoked"
    says = "The API key {key} was revoked on {revoked_at}."
    advises = "Use the subscription's other key, or make a new one: `datacanal key create`."


class ScopeMissing(PolicyError):
    code = "scope_missing"
    says = "The API key {key} may not do this: it lacks the scope {scope!r}."
    advises = "Make a key with that scope: `datacanal key create --scope {scope}`; ask a token for it too."


class KeyNotEnough(PolicyError):
    code = "key_not_enough"
    says = "An API key may read what its account used and pays; it may not {action}."
    advises = "Do it with your own token, or sign in: `datacanal login`."


class TestKeyRefused(PolicyError):
    code = "test_key"
    says = "The API key {key} is a test key: it sees the sample alone."
    advises = "Call …/sample with it, or …/data with a live key."


class TooManyKeys(UserError):
    code = "too_many_keys"
    says = "The subscription {subscription} has {limit} keys of this kind that hold."
    advises = "Revoke one first: `datacanal key revoke`."


class AccountExists(UserError):
    code = "account_exists"
    says = "There is an account {name!r} already."
    advises = "Use it, or choose another name."


class AccountClosed(UserError):
    code = "account_closed"
    says = "The account {account} is closed since {closed_at}."
    advises = "Open it again: `datacanal account create`."


class SubscriptionExists(UserError):
    code = "subscription_exists"
    says = "The account {account} has a subscription to {product} that is {state}."
    advises = "Use it, or end it first: `datacanal subscription end {subscription}`."


class SubscriptionNotActive(PolicyError):
    code = "subscription_not_active"
    says = "The subscription {subscription} to {product} is {state}."
    advises = "A pending one waits for {product}'s publisher; for an ended or refused one ask for a new one."


class TariffNeeded(UserError):
    code = "tariff_needed"
    says = "{product} is offered under several tariffs: {tariffs}."
    advises = "Name one of them: `datacanal subscription create {product} --tariff NAME`."


class UnknownTariff(UserError):
    code = "unknown_tariff"
    says = "There is no tariff {tariff!r} of {product} that can be subscribed to."
    advises = "`datacanal product tariff list {product}` lists them."


class BadTariff(UserError):
    code = "bad_tariff"
    says = "{field}: {reason}"
    advises = "Correct the tariff; nothing was changed."


class BadAmount(UserError):
    code = "bad_amount"
    says = "{field}: {reason}"
    advises = "Give a whole number within the limits that it names; nothing was changed."


class PeriodClosed(UserError):
    code = "period_closed"
    says = "The period {period} is closed since {closed_at}: its invoices were issued."
    advises = "Correct it in the open period: `datacanal ledger adjust`; a credit note says what it was."


class PeriodOpen(UserError):
    code = "period_open"
    says = "The period {period} is not over before {ends_at}."
    advises = "Close it afterwards; `datacanal invoice show preview` shows what there is by now."


class NothingToCredit(UserError):
    code = "nothing_to_credit"
    says = "No correction of what the invoice {invoice} counts came after it and its credit notes."
    advises = "Correct a receipt first: `datacanal ledger adjust`."


class QuotaExhausted(ResourceError):
    """`violated` names the quotas; `retry_after_s` is when the first of them begins anew."""

    code = "quota_exhausted"
    says = "The quota is used up: {first}."
    advises = "Ask for less, wait {retry_after_s} s for the next period, or ask the publisher for more."

    def __init__(
        self, violated: Sequence[str] = (), *, retry_after_s: int = 60, first: str = "", **data: object
    ) -> None:
        super().__init__(
            **{"violated-policies": list(violated), "retry_after_s": retry_after_s, "first": first, **data}
        )


class TooManyCalls(ResourceError):
    code = "too_many_calls"
    says = "More than {limit} calls came within {window_s} s."
    advises = "Wait {retry_after_s} s, and spread the calls."
    retriable = True


class RequestInProgress(UserError):
    code = "request_in_progress"
    says = "A call with this Idempotency-Key is being answered."
    advises = "Wait for its end, then repeat it with the key."
    retriable = True


class AnswerGone(ResourceError):
    code = "answer_gone"
    says = (
        "The snapshot {snapshot} that this Idempotency-Key was answered from is not kept any more; receipt {receipt}."
    )
    advises = "Nothing was charged again. Ask anew, with another key."


class HoldLost(ResourceError):
    kind = Kind.EXTERNAL
    code = "reservation_lost"
    says = "The reservation {receipt} was given up, because this gateway was not heard of."
    advises = "Nothing was charged; ask again with the same Idempotency-Key."
    retriable = True


class WebhookRefused(UserError):
    code = "webhook_refused"
    says = "The webhook address cannot be used: {reason}."
    advises = "Give an https address of a public host, without user name, and on which nothing is redirected."


class SignInRefused(UserError):
    code = "sign_in_refused"
    says = "The sign-in was not accepted: {reason}."
    advises = "Begin it again; if it stays, tell the operator."


class SignInUnavailable(ResourceError):
    kind = Kind.EXTERNAL
    code = "sign_in_unavailable"
    says = "The identity provider cannot be asked: {reason}."
    advises = "Try again in a moment; if it stays, the operator compares [gateway.sign_in] with the provider."
    retriable = True


class SignInNotOffered(UserError):
    code = "sign_in_not_offered"
    says = "People cannot sign in at this gateway."
    advises = "Use a token, or an API key; an operator adds [gateway.sign_in] to the configuration."


class LedgerDamaged(ExternalError):
    code = "ledger_damaged"
    says = "The ledger does not verify: {reason}."
    advises = "Keep the database and the checkpoint file as they are, and compare them with a backup, from {place} on."


class ReceiptNotProven(UserError):
    code = "receipt_not_proven"
    says = "The receipt {receipt} is not proven: {reason}."
    advises = "Fetch it again with its proof, once it is sealed, and the public key from who runs the ledger."
