"""Who may change things: an operator's token, or a browser on the machine itself; and only by forms made here."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from monitor.errors import BadSettings
from monitor.web.options import WebOptions, check
from monitor.web.visitors import COOKIE, NOT_LOCAL, NOT_OPERATOR, PROGRAM, READ_ONLY, Gate, Visitor
from tests.web.conftest import OPTIONS

VIEWS, OPERATES = "the viewers' token", "the operators' token"
BOTH = replace(OPTIONS, token=VIEWS, operator_token=OPERATES)
OPERATED = replace(OPTIONS, operator_token=OPERATES)
VIEWED = replace(OPTIONS, token=VIEWS)
BEYOND = replace(OPTIONS, host="0.0.0.0", open=True)
HERE = {"host": "127.0.0.1:8321"}


def asked(gate: Gate, client: str = "127.0.0.1", **headers: str) -> Visitor:
    """Who asks with these headers."""
    return gate.visitor(Headers({**HERE, **{name.replace("_", "-"): value for name, value in headers.items()}}), client)


def in_browser(gate: Gate, session: str) -> Visitor:
    return asked(gate, cookie=f"{COOKIE}={session}")


@pytest.mark.parametrize(
    ("options", "token", "reads", "why_not"),
    [
        (BOTH, "", False, NOT_OPERATOR),
        (BOTH, VIEWS, True, NOT_OPERATOR),
        (BOTH, OPERATES, True, ""),
        (OPERATED, "", True, NOT_OPERATOR),
        (OPERATED, OPERATES, True, ""),
        (VIEWED, VIEWS, True, READ_ONLY),
        (VIEWED, "", False, NOT_OPERATOR),
        (OPTIONS, "", True, ""),
        (BEYOND, "", True, READ_ONLY),
        (replace(BEYOND, operator_token=OPERATES), OPERATES, True, ""),
    ],
)
@pytest.mark.parametrize("how", ["program", "browser"])
def test_each_token_opens_what_it_is_for_and_nothing_else(
    options: WebOptions, token: str, reads: bool, why_not: str, how: str
) -> None:
    gate = Gate(options)
    role = gate.role_of(token)
    assert (role is None) == (token == "")
    if role is None:
        found = asked(gate)
    elif how == "program":
        found = asked(gate, authorization=f"Bearer {token}")
    else:
        found = in_browser(gate, gate.new_session(role, "Ada"))
    assert (found.may_read, found.why_not) == (reads, why_not)
    assert bool(found.form_field()) is (not why_not and not found.is_program)


@pytest.mark.parametrize(
    ("client", "headers", "may"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"host": "[::1]:8321"}, True),
        ("127.0.0.1", {"host": "LOCALHOST:8321"}, True),
        ("10.0.0.7", {}, False),
        ("", {}, False),
        ("127.0.0.1", {"host": "caldrift.internal"}, False),
        ("127.0.0.1", {"host": "10.0.0.7:8321"}, False),
        ("127.0.0.1", {"x-forwarded-for": "10.0.0.7"}, False),
        ("127.0.0.1", {"forwarded": "for=10.0.0.7"}, False),
    ],
)
def test_without_tokens_only_a_browser_on_the_machine_itself_may_change_things(
    client: str, headers: dict[str, str], may: bool
) -> None:
    found = Gate(OPTIONS).visitor(Headers({**HERE, **headers}), client)
    assert found.may_read
    assert found.why_not == ("" if may else NOT_LOCAL)


def test_a_session_holds_who_it_is_and_its_forms_are_its_own() -> None:
    gate = Gate(BOTH)
    ada, grace = (in_browser(gate, gate.new_session("operator", name)) for name in ("Ada Lovelace", "Grace ünd\0"))
    assert (ada.by, grace.by) == ("Ada Lovelace", "Grace ünd")
    assert ada.has_proof(ada.proof)
    assert not ada.has_proof(grace.proof)
    assert not ada.has_proof("")
    assert ada.proof in ada.form_field()
    again = in_browser(gate, ada.session)
    assert again.proof == ada.proof


def test_a_restart_keeps_the_sessions_of_a_token_and_a_new_token_ends_them() -> None:
    session = Gate(BOTH).new_session("operator", "Ada")
    assert in_browser(Gate(BOTH), session).may_change
    assert not in_browser(Gate(replace(BOTH, operator_token="another")), session).may_read
    assert in_browser(Gate(replace(BOTH, token="another")), session).may_change


@given(st.data())
def test_a_session_that_was_changed_anywhere_is_none(data: st.DataObject) -> None:
    gate = Gate(BOTH, lambda size: "4e" * size)
    session = gate.new_session("viewer", "Ada")
    at = data.draw(st.integers(0, len(session) - 1))
    other = data.draw(st.sampled_from([each for each in "abc019_-.o" if each != session[at]]))
    assert not in_browser(gate, session[:at] + other + session[at + 1 :]).may_read
    assert not in_browser(gate, session.replace("viewer", "operator")).may_read


def test_a_local_session_opens_nothing_once_there_are_tokens() -> None:
    session = asked(Gate(OPTIONS)).session
    assert not in_browser(Gate(BOTH), session).may_read
    assert not in_browser(Gate(OPERATED), session).may_change


def test_a_program_may_say_who_acts() -> None:
    gate = Gate(BOTH)
    assert asked(gate, authorization=f"Bearer {OPERATES}").by == PROGRAM
    assert asked(gate, authorization=f"Bearer {OPERATES}", x_caldrift_operator="nightly job").by == "nightly job"


def test_readers_must_not_hold_the_operators_token() -> None:
    with pytest.raises(BadSettings, match=r"web\.operator_token: must differ"):
        check(replace(BOTH, operator_token=VIEWS))
    check(BOTH)


def test_tokens_and_sessions_stay_out_of_texts() -> None:
    gate = Gate(BOTH)
    assert OPERATES not in repr(BOTH)
    found = in_browser(gate, gate.new_session("operator", "Ada"))
    assert found.session not in repr(found)
    assert found.proof not in repr(found)
