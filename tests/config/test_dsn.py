"""Passwords in a DSN are seen and masked."""

import pytest

from monitor.config.dsn import has_password, masked

WITH = [
    ("postgresql://u:p@h/db", "postgresql://u:*@h/db"),
    ("postgresql://u:p@ss@a:1,b:2/db", "postgresql://u:*@a:1,b:2/db"),
    ("postgresql://u@h:5432/db?password=a&x=1", "postgresql://u@h:5432/db?password=*&x=1"),
    ("postgresql://u@h/db?x=1&sslpassword=a", "postgresql://u@h/db?x=1&sslpassword=*"),
    (r"host=h password='a b\' c' x=1", "host=h password=* x=1"),
    ("PASSWORD = a&b host=h", "PASSWORD = * host=h"),
    ("host=h sslpassword=a", "host=h sslpassword=*"),
]
WITHOUT = ["postgresql://h:5432/db", "postgresql://u@h:5432/db", "postgresql:///db?host=/run/pg", "host=h passfile=x"]


@pytest.mark.parametrize(("dsn", "expected"), WITH)
def test_a_password_is_seen_and_masked(dsn: str, expected: str) -> None:
    assert has_password(dsn)
    assert masked(dsn, "*") == expected


@pytest.mark.parametrize("dsn", WITHOUT)
def test_a_dsn_without_a_password_stays_as_it_is(dsn: str) -> None:
    assert not has_password(dsn)
    assert masked(dsn, "*") == dsn
