"""The command `xchws`: the demonstration, listening to an exchange, and the simulated exchanges.

It knows the clients as their users do. A further exchange is one more entry in LISTENERS.
Exit status: 0, 1 after an error that the text on stderr tells, 2 for wrong arguments, 130 after Ctrl-C.
"""

from __future__ import annotations

import difflib
import enum
import json
import logging
import os
import re
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type

import attrs

import xchws
from xchws import clock
from xchws.events import Data, Event
from xchws.exchanges.kyan.channels import CHANNELS as KYAN_CHANNELS
from xchws.hooks import Hook

try:
    import click
    from rich.console import Console
except ModuleNotFoundError:
    sys.exit('the xchws command needs the extra: pip install "xchws[cli]"')

_TICK = 0.5  # seconds; waiting goes on in pieces, so that --duration is kept and Ctrl-C is heard everywhere
_INTERRUPTED = 130  # what a shell reports for a program that SIGINT ended
_CONNECTION_HOOKS = ("gap", "connect", "disconnect", "error")
_PLAIN_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_BARE = re.compile(r'[^"\s\x00-\x20\x7f-\U0010ffff]+')  # text that needs no quotes in a line: ASCII that can be seen


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command with these arguments (None: the process's own); its exit status."""
    try:
        status = _obey(arguments)
        if sys.stdout is not None:  # it is None where the program was started without one
            sys.stdout.flush()  # now, for when Python ends nobody would hear of a failure
    except BrokenPipeError:
        _drop_output()  # whoever read has read enough
        return 0
    except OSError as error:  # the clients' own are XchwsErrors: this is the output's, or a simulated exchange's
        _drop_output()
        _complain(f"xchws: {error.strerror or error}")
        return 1
    return status


def _obey(arguments: Optional[Sequence[str]]) -> int:
    try:
        status = _command.main(arguments, prog_name="xchws", standalone_mode=False)
    except click.ClickException as error:
        _complain(error.format_message(), error)
        return error.exit_code
    except xchws.XchwsError as error:
        _complain(f"xchws: {error}")
        return 1
    except click.Abort:
        return _INTERRUPTED
    except SystemExit:
        raise BrokenPipeError from None  # all that click makes a SystemExit of, in this mode
    return status if isinstance(status, int) else 0


def _complain(text: str, shown: Optional[click.ClickException] = None) -> None:
    try:
        if shown is not None:
            shown.show()
        else:
            click.echo(text, err=True)
    except OSError:
        pass  # nobody is there to be told: the exit status says it


def _drop_output() -> None:
    """What is left in the buffer must not come up again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _quietly(act: Callable[[], int]) -> int:
    """The exit status of what a subcommand does; Ctrl-C and a closed pipe end it before click has its say on them."""
    try:
        return act()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return 0


class _Seconds(click.ParamType):  # type: ignore[type-arg]  # it takes none before click 8.2
    """A duration; nan is none, and neither is what is longer than anybody waits."""

    name = "seconds"

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, parameter: Optional[click.Parameter], context: Optional[click.Context]) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not self._least <= seconds <= self._most:
            self.fail(f"a number of seconds from {self._least:g} to {self._most:g}, not {value!r}.", parameter, context)
        return seconds


@click.group(name="xchws")
@click.version_option(xchws.__version__, message="xchws %(version)s")
def _command() -> None:
    """Live exchange WebSocket connections for blocking Python code."""


# --------------------------------------------------------------------------------------------------- demo and sandbox


@_command.command("demo")
@click.option(
    "--duration",
    type=_Seconds(1, 600),
    default=8.0,
    show_default=True,
    help="Seconds that the markets live; connecting and ending come on top.",
)
@click.option("--plain", is_flag=True, help="Lines instead of the live table, as when the output is no terminal.")
def _demo(duration: float, plain: bool) -> int:
    """The real clients against simulated exchanges on this machine.

    Needs no key and no network. Shows orders, fills, tickers and the connections' states, cuts every connection midway, and
    counts in the end what was published and what arrived. Exit status 1 if anything was lost.
    """
    try:
        from xchws import demo
    except ImportError as missing:
        raise click.ClickException(str(missing)) from missing
    console = Console()
    terminal = console if console.is_terminal and not plain else None
    return _quietly(lambda: demo.run(demo.EXHIBITS, duration, terminal))


@_command.command(
    "sandbox",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Run a simulated exchange.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _sandbox(arguments: Tuple[str, ...]) -> int:
    """Passed on to `python -m xchws.sandbox`."""
    from xchws.sandbox.__main__ import main as sandbox

    return _quietly(lambda: sandbox(list(arguments)))


# ------------------------------------------------------------------------------------------------------------- listen


def _for_each_pair(client: Any, channel: str, pairs: Sequence[str]) -> List[xchws.Subscription]:
    return [getattr(client, f"subscribe_{channel}")(pair) for pair in pairs]


def _with_query(client: Any, channel: str, entries: Sequence[str]) -> List[xchws.Subscription]:
    query: Dict[str, Any] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals:
            raise click.UsageError(f"--query: KEY=VALUE such as pair=ETH_USDC, not {entry!r}")
        number = name == "strike" and _PLAIN_NUMBER.fullmatch(value)
        query[name] = Decimal(value) if number else {"true": True, "false": False}.get(value, value)
    return [client.subscribe(channel, **query)]


@attrs.frozen
class Listener:
    """What `xchws listen` must know of one exchange.

    Attributes:
        client: its class.
        summary: for the help.
        arguments: which arguments of the class are options; credentials never are, they would show in the process list.
        channels: what can be subscribed; default_channels: what is, unless --channel says otherwise.
        whole: those of them that are of no pair.
        subscribe: called with the client, a channel and the pairs; subscribes and returns the subscriptions.
        pair: what the option for a pair is called; pair_examples: two, for the help.
    """

    client: Callable[..., xchws.Client]
    summary: str
    arguments: Tuple[str, ...]
    channels: Tuple[str, ...] = ()
    default_channels: Tuple[str, ...] = ()
    whole: Tuple[str, ...] = ()
    subscribe: Callable[[Any, str, Sequence[str]], List[xchws.Subscription]] = _for_each_pair
    pair: str = "pair"
    pair_examples: Tuple[str, str] = ("BTC/UAH", "ETH/UAH")


LISTENERS = {
    "finery": Listener(
        xchws.Finery,
        "Finery Markets: books (of every --instrument), own orders, positions, limits, settlements; FINERY_KEY and "
        "FINERY_SECRET in the environment.",
        ("environment", "url"),
        channels=(
            "order_book",
            "global_order_book",
            "orders",
            "positions",
            "limits",
            "global_limits",
            "settlements",
            "settlement_transactions",
            "settlement_requests",
            "instruments",
            "combined",
        ),
        default_channels=("orders", "positions"),
        whole=(
            "orders",
            "positions",
            "limits",
            "global_limits",
            "settlements",
            "settlement_transactions",
            "settlement_requests",
            "instruments",
            "combined",
        ),
        pair="instrument",
        pair_examples=("BTC-EUR", "ETH-USD"),
    ),
    "indodax": Listener(
        xchws.Indodax,
        "Own orders and executions on Indodax; INDODAX_KEY and INDODAX_SECRET in the environment.",
        ("environment", "url", "rest_url"),
    ),
    "indodax-market": Listener(
        xchws.IndodaxMarket,
        "Market data on Indodax; needs no credentials. The summary is of all pairs, the other channels are of every --pair.",
        ("environment", "url", "token"),
        channels=("ticks", "summary", "trades", "order_book"),
        default_channels=("trades",),
        whole=("summary",),
        pair_examples=("btcidr", "ethidr"),
    ),
    "kyan": Listener(
        xchws.Kyan,
        "Options and perpetuals on Kyan, and own accounts; KYAN_KEY in the environment. The --query goes to every --channel: "
        "pair=ETH_USDC, instrument_name=..., account=0x..., and what else the channel takes.",
        ("environment", "url"),
        channels=tuple(KYAN_CHANNELS),
        default_channels=("trade",),
        subscribe=_with_query,
        pair="query",
        pair_examples=("pair=ETH_USDC", "direction=buy"),
    ),
    "kyrrex": Listener(
        xchws.Kyrrex,
        "An account on Kyrrex; KYRREX_KEY and KYRREX_SECRET in the environment, KYRREX_USER_UUID too, if it is known.",
        ("environment", "url", "rest_url", "path", "engine"),
    ),
    "richamster": Listener(
        xchws.Richamster,
        "Market data on Richamster; own orders (--channel user_orders) with RICHAMSTER_TOKEN in the environment.",
        ("url", "origin"),
        channels=("ticker", "order_book", "trades", "user_orders"),
        default_channels=("ticker", "trades"),
    ),
}

_ARGUMENT_HELP = {
    "environment": "Which of the exchange's environments, such as demo; production by default.",
    "url": "The complete stream address instead of the exchange's.",
    "rest_url": "The REST base (no path) instead of the exchange's.",
    "token": "The token instead of the one that the exchange publishes for everybody.",
    "origin": "The Origin header to send; none by default.",
    "path": "The stream's path, where the url has none.",
    "engine": "The version of Engine.IO, 4 or 3; 4 by default.",
}

_OUTPUT_HELP = """

With --json every line is an object: "event" is the event's class, "exchange" its exchange, and then come its fields. Amounts
are strings with every digit that the exchange wrote, times are ISO 8601 in UTC, durations are seconds, null is what the exchange
does not say.
"""


def _names(_context: click.Context, _option: click.Parameter, text: Optional[str]) -> Tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",")) if text is not None else ()


@_command.group("listen", short_help="Print an exchange's events.")
def _listen() -> None:
    """Print what an exchange tells, until Ctrl-C."""


def _subcommand(name: str, listener: Listener) -> click.Command:
    options: List[click.Parameter] = [
        click.Option([f"--{argument.replace('_', '-')}"], help=_ARGUMENT_HELP[argument])
        for argument in listener.arguments
    ]
    if listener.channels:
        options += [
            click.Option(
                [f"--{listener.pair}", "pairs"],
                multiple=True,
                help=f"{listener.pair.capitalize()}, such as {listener.pair_examples[0]}; may be given again.",
            ),
            click.Option(
                ["--channel", "channels"],
                callback=_names,
                help=f"Of {', '.join(listener.channels)}; several with commas. "
                f"{','.join(listener.default_channels)} by default.",
            ),
        ]
    options += [
        click.Option(["--json", "json_lines"], is_flag=True, help="JSON lines."),
        click.Option(
            ["--on", "hooks"],
            callback=_names,
            help="Only these events, named as the client's on_..., several with commas: "
            f"{', '.join(_hooks(listener))}. All data, {', '.join(_CONNECTION_HOOKS)} by default.",
        ),
        click.Option(["--duration"], type=_Seconds(0.001, 1e9), help="End after so many seconds."),
        click.Option(["--count"], type=click.IntRange(min=1), help="End after so many lines."),
    ]

    def listen(**given: Any) -> int:
        return _quietly(lambda: _run(listener, **given))

    return click.Command(name, params=options, callback=listen, help=listener.summary + _OUTPUT_HELP)


def _run(
    listener: Listener,
    json_lines: bool,
    hooks: Tuple[str, ...],
    duration: Optional[float],
    count: Optional[int],
    pairs: Sequence[str] = (),
    channels: Sequence[str] = (),
    **arguments: Optional[str],
) -> int:
    classes = _wanted(listener, hooks)
    if not issubclass(xchws.Failure, classes):
        # The lines do not tell of errors: the library's warnings do, on stderr.
        heard = logging.StreamHandler()
        heard.setLevel(logging.WARNING)
        logging.getLogger("xchws").addHandler(heard)
    _check("--channel", channels, listener.channels)
    channels = channels or listener.default_channels
    _check_pairs(listener, channels, pairs)
    try:
        client = listener.client(**{name: value for name, value in arguments.items() if value is not None})
        if xchws.Message in classes:
            client.on_message(lambda message: None)  # a client makes Messages only where somebody registers for them
        stream = client.events(Event, timeout=min(_TICK, duration or _TICK))
        subscriptions: List[xchws.Subscription] = []
        for channel in channels:
            if channel in listener.whole:
                subscriptions.append(getattr(client, f"subscribe_{channel}")())
            else:
                subscriptions += listener.subscribe(client, channel, pairs)
    except xchws.ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    redact = client._exchange.secrets.redact  # what the exchange said in its own words might repeat a secret
    as_text = _as_json if json_lines else _as_line
    deadline = None if duration is None else clock.monotonic() + duration
    with client:
        while deadline is None or clock.monotonic() < deadline:
            try:
                event = next(stream)
            except xchws.WaitTimeout:
                continue
            if isinstance(event, classes):
                print(as_text(event, redact), flush=True)
                if count is not None:
                    count -= 1
                    if not count:
                        return 0
            if isinstance(event, xchws.Failure) and subscriptions:
                if all(subscription.state == "refused" for subscription in subscriptions):
                    raise event.error
    return 0


def _check_pairs(listener: Listener, channels: Sequence[str], pairs: Sequence[str]) -> None:
    takers = [channel for channel in channels if channel not in listener.whole]
    if takers and not pairs and listener.subscribe is _for_each_pair:
        examples = " ".join(f"--{listener.pair} {example}" for example in listener.pair_examples)
        raise click.UsageError(f"which {listener.pair}? Give one or more: {examples}")
    if pairs and not takers:
        those = ", ".join(channel for channel in listener.channels if channel not in listener.whole)
        raise click.UsageError(
            f"--{listener.pair}: the channels {', '.join(channels)} are of none; add --channel and one of {those}"
        )


def _hooks(listener: Listener) -> Dict[str, Type[Event]]:
    """What may be listened to: the client's `on_…` without the `on_`."""
    found = {name: getattr(listener.client, name) for name in dir(listener.client) if name.startswith("on_")}
    return {name[3:]: hook.event_class for name, hook in found.items() if isinstance(hook, Hook)}


def _wanted(listener: Listener, names: Sequence[str]) -> Tuple[Type[Event], ...]:
    known = _hooks(listener)
    _check("--on", names, known)
    if not names:
        return (Data, *(known[name] for name in _CONNECTION_HOOKS))
    return tuple(known[name] for name in names)


def _check(option: str, names: Sequence[str], known: Any) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, list(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}."
            raise click.UsageError(f"{option}: there is no {name!r}; {hint}")


# ------------------------------------------------------------------------------------------------------ one line each


def _fields(event: Event) -> Mapping[str, Any]:
    """An event's fields as they are shown, in order: its own time stands for the milliseconds."""
    shown: Dict[str, Any] = {}
    for field in attrs.fields(type(event)):
        if field.name == "time_ms":
            shown["time"] = getattr(event, "time", None)
        elif not field.name.startswith("_"):
            shown[field.name] = getattr(event, field.name)
    if isinstance(event, xchws.Other):
        shown["raw"] = event.raw
    elif isinstance(event, xchws.Message):
        shown["data"] = event.data
    return shown


def _simple(value: Any, redact: Callable[[str], str]) -> Any:
    """A value of an event in terms of JSON."""
    if isinstance(value, (str, Decimal, enum.Enum)):
        return redact(str(value))
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "text": redact(str(value))}
    if isinstance(value, (list, tuple)):
        return [_simple(item, redact) for item in value]
    if isinstance(value, dict):
        return {name: _simple(item, redact) for name, item in value.items()}
    return value


def _as_json(event: Event, redact: Callable[[str], str]) -> str:
    fields = {name: _simple(value, redact) for name, value in _fields(event).items()}
    return json.dumps({"event": type(event).__name__, **fields})


def _as_line(event: Event, redact: Callable[[str], str]) -> str:
    words = [event.exchange, type(event).__name__]
    for name, value in _fields(event).items():
        if name == "exchange" or value is None or value == "" or value == ():
            continue
        simple = _simple(str(value) if isinstance(value, BaseException) else value, redact)
        bare = isinstance(simple, str) and _BARE.fullmatch(simple)
        words.append(f"{name}={simple if bare else json.dumps(simple)}")
    return " ".join(words)


for _name, _listener in LISTENERS.items():
    _listen.add_command(_subcommand(_name, _listener))
