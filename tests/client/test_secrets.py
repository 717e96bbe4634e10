"""No secret is ever shown: whole conversations, with every logger at DEBUG, and every error and event looked through."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

import xchws
from tests.client.hearing import Everything, shown
from xchws.sandbox import IndodaxSandbox, RichamsterSandbox

Make = Callable[..., Any]


def tokens_of(exchange: IndodaxSandbox) -> List[str]:
    texts = []
    for message in exchange.messages:
        for verb in ("connect", "refresh"):
            if isinstance(message, dict) and verb in message:
                texts.append(message[verb]["token"])
    return texts


def signatures_of(exchange: IndodaxSandbox) -> List[str]:
    return [request.headers["sign"] for request in exchange.rest_requests]


def conversation(indodax: IndodaxSandbox, client: xchws.Indodax, texts: List[str]) -> None:
    """A life with all its troubles; what the user could see of it goes into `texts`."""
    client.on(xchws.Event, lambda event: texts.extend([repr(event), str(event)]))
    client.on_error(lambda error: texts.extend(shown(error)))
    client.on_message(lambda message: texts.append(repr(message)))
    client.start(5)
    fill = client.expect(xchws.Fill)
    indodax.fill(indodax.place("btcidr", "BUY", "1000000000", "0.5"))
    texts.append(repr(fill.result(5).raw))
    # An exchange that repeats our secrets to us.
    (token, *_), (signature, *_) = tokens_of(indodax), signatures_of(indodax)
    trouble = client.expect(xchws.Failure, where=lambda failure: "1008" in str(failure.error))
    indodax.send_raw(f"no json {indodax.key} {indodax.secret} {token} {'x' * 200} {signature}")
    indodax.close_connections(1008, f"bad {indodax.key}")
    texts += shown(trouble.result(5).error)
    client.wait_ready(5)
    refusals: List[Callable[[], None]] = [
        lambda: indodax.refuse_rest(500, f"<html>{indodax.secret}</html>", times=1),
        lambda: indodax.refuse_rest(400, f'{{"success":0,"error":"who is {indodax.key}?","error_code":"x"}}', times=1),
        lambda: indodax.refuse_rest(429, f"slow down {signature}", {"Retry-After": "0"}, times=1),
        lambda: indodax.refuse(403, f"Forbidden {indodax.key} {token}", times=1),
        lambda: indodax.refuse(302, "", {"Location": f"https://elsewhere/?key={indodax.key}"}, times=1),
        lambda: indodax.expire_next_tokens(1),
        indodax.reject_subscription,
    ]
    for refuse in refusals:
        refuse()
        ended = client.expect(xchws.Disconnected, where=lambda event: not isinstance(event.error, xchws.ConnectionLost))
        indodax.drop()
        texts += shown(ended.result(5).error)
        client.wait_ready(10)
    texts += [
        repr(client),
        repr(vars(client)),
        repr(client.status()),
        repr(client._exchange),
        repr(vars(client._session)),
    ]
    client.stop()


def test_no_secret_in_a_whole_life_with_indodax(
    indodax: IndodaxSandbox, make_indodax: Make, log: Everything, capfd: pytest.CaptureFixture[str]
) -> None:
    texts: List[str] = []
    conversation(indodax, make_indodax(), texts)
    secrets = {indodax.key, indodax.secret, *tokens_of(indodax), *signatures_of(indodax)}
    assert len(secrets) >= 10, "the conversation must have had tokens to hide"
    out, error = capfd.readouterr()
    everything = "\n".join([*texts, *log.texts, out, error])
    assert "Order" in everything and "READY" in everything and "1008" in everything, (
        "there must be something to look through"
    )
    for secret in secrets:
        assert secret not in everything
    # The expired token was given out on purpose.
    assert [said for said in indodax.complaints if "expired token" not in said] == []


def test_a_refused_key_is_not_shown(indodax: IndodaxSandbox, clients: List[xchws.Client], log: Everything) -> None:
    client = xchws.Indodax("KEY-nobody-knows", "SECRET-nobody-knows", url=indodax.url, rest_url=indodax.rest_url)
    clients.append(client)
    with pytest.raises(xchws.AuthenticationFailed) as refused:
        client.start(5)
    client.stop()
    everything = "\n".join([*shown(refused.value), *log.texts, repr(client.status())])
    assert "invalid_credentials" in everything
    for secret in ("KEY-nobody-knows", "SECRET-nobody-knows", *signatures_of(indodax)):
        assert secret not in everything


def test_no_secret_when_nothing_answers(clients: List[xchws.Client], log: Everything) -> None:
    texts: List[str] = []
    client = xchws.Indodax(
        "KEY-nobody-knows",
        "SECRET-nobody-knows",
        url="ws://127.0.0.1:1/?key=KEY-nobody-knows",
        rest_url="http://127.0.0.1:1",
        backoff=xchws.Backoff(initial=60),
        on_error=lambda error: texts.extend(shown(error)),
    )
    clients.append(client)
    down = client.expect(xchws.Disconnected)
    client.start()
    texts += shown(down.result(5).error)
    client.stop()
    everything = "\n".join([*texts, *log.texts])
    assert "failed" in everything
    assert "KEY-nobody-knows" not in everything and "SECRET-nobody-knows" not in everything


@pytest.mark.parametrize("argument", ["url", "rest_url", "proxy"])
@pytest.mark.parametrize(
    "form",
    [
        "{}://user:SECRET@host",
        "{}://host/?token=SECRET",
        "{}://host/ ?token=SECRET",
        "{}://host:x/?token=SECRET",
        "SECRET",
    ],
)
def test_no_secret_of_an_address_that_is_refused(argument: str, form: str) -> None:
    for scheme in ("ws", "http", "ftp"):
        for given in (form.format(scheme), form.format(scheme).encode()):
            options: Dict[str, Any] = {argument: given}
            try:
                xchws.Kyrrex("key", "secret", **options)
            except xchws.ConfigurationError as refused:
                assert refused.argument == argument
                assert not any("SECRET" in text for text in shown(refused))


def test_no_token_of_richamster(richamster: RichamsterSandbox, make_richamster: Make, log: Everything) -> None:
    given = iter([richamster.token, "TOKEN-of-yesterday", richamster.token])
    texts: List[str] = []
    client = make_richamster(lambda: next(given), on_error=lambda error: texts.extend(shown(error)))
    client.start(5)
    client.subscribe_user_orders("BTC/UAH").wait(5)
    with pytest.raises(xchws.SubscriptionRejected) as refused:
        client.subscribe_user_orders("ETH/UAH").wait(5)
    richamster.reject_subscription(f"Who is {richamster.token}?")
    with pytest.raises(xchws.SubscriptionRejected) as echoed:
        client.subscribe_user_orders("KRB/UAH").wait(5)
    texts += [*shown(refused.value), *shown(echoed.value), repr(client.status()), repr(vars(client))]
    client.stop()
    everything = "\n".join([*texts, *log.texts])
    assert "Who is ***?" in everything
    assert richamster.token not in everything and "TOKEN-of-yesterday" not in everything
