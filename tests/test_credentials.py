"""Credentials: where they come from, and that no text shows them."""

from __future__ import annotations

import copy
import pickle
from typing import Any, List, Tuple
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xchws import credentials
from xchws.credentials import HIDDEN, Secrets, credential
from xchws.errors import ConfigurationError


def knowing(*texts: str) -> Secrets:
    secrets = Secrets()
    secrets.add(*texts)
    return secrets


def test_a_secret_is_hidden_wherever_it_stands() -> None:
    assert knowing("s3cret").redact("s3cret, twice: s3crets3cret.") == f"{HIDDEN}, twice: {HIDDEN}{HIDDEN}."


def test_nothing_known_nothing_hidden() -> None:
    secrets = Secrets()
    secrets.add(None, "")
    assert secrets.redact("plain") == "plain"


def test_of_two_secrets_the_longer_goes_first() -> None:
    secrets = knowing("abc", "abcdef")
    assert secrets.redact("abcdef abc") == f"{HIDDEN} {HIDDEN}"
    assert knowing("abcdef", "abc").redact("abcdef abc") == f"{HIDDEN} {HIDDEN}"


def test_a_signed_address_and_its_signature() -> None:
    secrets = knowing("wss://x/?sig=AAAA", "AAAA")
    assert secrets.redact("GET wss://x/?sig=AAAA failed; sig=AAAA") == f"GET {HIDDEN} failed; sig={HIDDEN}"


@pytest.mark.parametrize("secret", ["a/b+c=", "key with space", "ключ", "100%"])
def test_the_forms_that_an_address_gives_it(secret: str) -> None:
    secrets = knowing(secret)
    for form in (secret, quote(secret, safe=""), quote_plus(secret)):
        assert secrets.redact(f"?key={form}&x=1") == f"?key={HIDDEN}&x=1"


def test_secrets_are_added_on_the_way() -> None:
    secrets = knowing("first")
    secrets.add("second")
    assert secrets.redact("first second") == f"{HIDDEN} {HIDDEN}"


def test_what_another_thread_adds_at_the_same_time_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, arrange = Secrets(), credentials._forms

    def arrange_late(texts: List[str]) -> Tuple[str, ...]:
        arranged = arrange(texts)
        if "second" not in texts:
            secrets.add("second")  # as another thread would between the lines
        return arranged

    monkeypatch.setattr(credentials, "_forms", arrange_late)
    secrets.add("first")
    assert secrets.redact("first second") == f"{HIDDEN} {HIDDEN}"


def test_of_those_that_pass_the_last_100_are_kept() -> None:
    secrets = knowing("lasting")
    for number in (*range(100, 200), 100, 200):
        secrets.add_passing(f"token{number}")
    shown = [number for number in range(100, 201) if secrets.redact(f"token{number}") != HIDDEN]
    assert shown == [101] and secrets.redact("lasting") == HIDDEN, "100 came again, and 101 is the oldest"


def test_it_shows_nothing_of_itself() -> None:
    secrets = knowing("s3cret")
    assert "s3cret" not in f"{secrets!r} {secrets!s} {[secrets]}"
    assert not hasattr(secrets, "__dict__")


@given(secret=st.text(min_size=1, max_size=20), before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_text_shows_a_secret(secret: str, before: str, after: str) -> None:
    assume("*" not in secret)
    try:
        secrets = knowing(secret)
    except UnicodeEncodeError:
        assume(False)
    assert secret not in secrets.redact(before + secret + after).replace(HIDDEN, "*")


@given(st.text(max_size=50))
def test_a_text_without_secrets_is_as_it_was(text: str) -> None:
    assume("s3cret" not in text)
    assert knowing("s3cret").redact(text) == text


def test_an_excerpt_is_short_and_says_so() -> None:
    assert Secrets().excerpt("x" * 300) == "x" * 300
    assert Secrets().excerpt("x" * 301) == "x" * 300 + "… (301 characters)"
    assert Secrets().excerpt("abcdef", 3) == "abc… (6 characters)"


@pytest.mark.parametrize("at", range(280, 302))
@pytest.mark.parametrize("kind", [str, bytes])
def test_a_secret_at_the_cut(at: int, kind: Any) -> None:
    secret = "s3cret-0123456789"
    text = "x" * at + secret + "y" * 500
    shown = knowing(secret).excerpt(text if kind is str else text.encode())
    for size in range(3, len(secret) + 1):
        assert secret[:size] not in shown


def test_bytes_that_are_no_text() -> None:
    assert knowing("s3cret").excerpt(b"\xff s3cret \xfe") == f"\ufffd {HIDDEN} \ufffd"


def test_a_huge_message_is_not_read_whole() -> None:
    shown = knowing("s3cret").excerpt(b"x" * 10_000_000)
    assert len(shown) < 400


def test_from_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_KEY", "from the environment")
    assert credential("given", "key", "SIM_KEY", "sim") == "given"


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_KEY", "from-the-environment")
    assert credential(None, "key", "SIM_KEY", "sim") == "from-the-environment"


def test_from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIM_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="SIM_KEY") as caught:
        credential(None, "key", "SIM_KEY", "sim")
    assert (caught.value.argument, caught.value.exchange) == ("key", "sim")


UNFIT = ["", " key", "key\n", "ke\ty", "k\u200bey"]


@pytest.mark.parametrize("value", [7, b"bytes", ["key"], "k\x00y", *UNFIT])
def test_an_argument_that_cannot_be_one(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="argument 'key'") as caught:
        credential(value, "key", "SIM_KEY", "sim")
    assert caught.value.argument == "key"


@pytest.mark.parametrize("value", UNFIT)
def test_a_variable_that_cannot_hold_one(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_KEY", value)
    with pytest.raises(ConfigurationError, match="environment variable SIM_KEY") as caught:
        credential(None, "key", "SIM_KEY", "sim")
    assert caught.value.argument == "key"


def test_a_bad_credential_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        credential("s3cret ", "key", "SIM_KEY", "sim")
    assert "s3cret" not in f"{caught.value!r} {caught.value}"


def test_white_space_inside_is_allowed() -> None:
    assert credential("pass phrase", "key", "SIM_KEY", "sim") == "pass phrase"


@pytest.mark.parametrize("carry", [copy.copy, lambda secrets: pickle.loads(pickle.dumps(secrets))])
def test_a_copy_hides_the_same(carry: Any) -> None:
    assert carry(knowing("s3cret")).redact("s3cret") == HIDDEN
