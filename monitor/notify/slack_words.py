"""What Slack's own words for a failure mean: pass by, this message, or the whole channel. Pure.

The words of https://docs.slack.dev/reference/methods/chat.postMessage (chat.update, and incoming webhooks, whose answer
is the bare word). Slack says most failures with status 200: the word decides, and the status only where it is unknown.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from monitor.notify.outcome import Dead, Retry
from monitor.notify.status import refusal, retry_after

PASSING: Final = frozenset({
    "fatal_error", "internal_error", "rate_limited", "ratelimited", "request_timeout", "rollup_error",
    "service_unavailable", "team_added_to_org",
})  # fmt: skip
OF_THE_CHANNEL: Final = frozenset({
    "access_denied", "accesslimited", "account_inactive", "action_prohibited", "as_user_not_supported",
    "channel_is_archived", "channel_not_found", "deprecated_endpoint", "ekm_access_denied", "enterprise_is_restricted",
    "invalid_auth", "invalid_token", "is_archived", "method_deprecated", "missing_scope", "no_active_hooks",
    "no_permission", "no_service", "no_service_id", "no_team", "not_allowed_token_type", "not_authed", "not_in_channel",
    "org_login_required", "posting_to_general_channel_denied", "restricted_action",
    "restricted_action_non_threadable_channel", "restricted_action_read_only_channel",
    "restricted_action_thread_locked", "restricted_action_thread_only_channel",
    "team_access_not_granted", "team_disabled", "team_not_found", "token_expired", "token_revoked",
    "two_factor_setup_required", "user_not_found",
})  # fmt: skip
OF_THE_MESSAGE: Final = frozenset({
    "duplicate_message_not_found", "invalid_arguments", "invalid_attachments", "invalid_blocks",
    "invalid_blocks_format", "invalid_json", "invalid_metadata_format", "invalid_payload", "json_not_object",
    "markdown_text_conflict", "metadata_too_large", "msg_blocks_too_long", "msg_too_long", "no_text",
    "too_many_attachments",
})  # fmt: skip
ROOT_IS_GONE: Final = frozenset({
    "cannot_reply_to_message", "cant_update_message", "edit_window_closed", "message_not_found", "thread_not_found",
})  # fmt: skip
"""Of an update or a reply: somebody deleted the root message, or it can be changed no more. A new one is posted."""

KNOWN: Final = PASSING | OF_THE_CHANNEL | OF_THE_MESSAGE | ROOT_IS_GONE
_WORD: Final = re.compile(r"[a-z_]{2,64}")


def word_of(text: object) -> str | None:
    """Slack's word, or None if this is none: a page of HTML, say, that stands between us and Slack."""
    return text if isinstance(text, str) and _WORD.fullmatch(text) else None


def judged(word: str | None, status: int, headers: Mapping[str, str], now: datetime) -> Retry | Dead:
    """The outcome of a failure that Slack tells with `word`, or with a status alone."""
    if word in PASSING:
        return Retry(retry_after(headers, now), f"Slack: {word}")
    if word in OF_THE_CHANNEL:
        return Dead(f"Slack: {word}", permanent=True)
    if word in OF_THE_MESSAGE | ROOT_IS_GONE:
        return Dead(f"Slack: {word}", permanent=False)
    if 200 <= status < 300:
        # Not told as Slack tells things: something in between answered, and it may be gone at the next attempt.
        return Dead(f"Slack: {word}", permanent=False) if word else Retry(None, f"HTTP {status} without Slack's answer")
    return refusal(status, headers, now)
