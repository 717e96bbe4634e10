"""Where Node, npm or a way to the packages is missing, the tests are skipped, and the reason is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import node


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(node, "CACHE", tmp_path / "cache")
    return folder


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_node(programs: Path) -> None:
    with pytest.raises(node.Unavailable, match="node and npm are not installed"):
        node.installed()


@pytest.mark.parametrize("version", ["v16.20.2", "v9.0.0", ""])
def test_with_a_node_that_is_too_old(programs: Path, version: str) -> None:
    program(programs, "node", f"echo {version}")
    program(programs, "npm", "exit 0")
    with pytest.raises(node.Unavailable, match=f"node 18 or newer is needed, this is {version or 'of no version'}"):
        node.installed()


def test_with_an_npm_that_cannot_install(programs: Path) -> None:
    program(programs, "node", "echo v18.0.0")
    program(programs, "npm", "echo 'npm error network: no way to the registry' >&2; exit 1")
    with pytest.raises(node.Unavailable, match=r"npm cannot install socket\.io.*no way to the registry"):
        node.installed()
    assert list((node.CACHE).iterdir()) == [], "nothing half done is left that would pass for an installation"


def test_with_an_npm_that_takes_too_long(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(programs, "node", "echo v22.0.0")
    program(programs, "npm", "exec /bin/sleep 60")
    monkeypatch.setattr(node, "INSTALL", 0.05)
    with pytest.raises(node.Unavailable, match=r"npm did not install .* within 0\.05 s"):
        node.installed()


def test_what_is_installed_is_not_installed_twice(programs: Path) -> None:
    program(programs, "node", "echo v20.0.0")
    # --prefix is followed by the folder: the sixth argument.
    program(programs, "npm", '/bin/mkdir "$6/node_modules"; echo again >> "$6/../count"')
    first = node.installed()
    assert first.is_dir() and node.installed() == first
    assert (node.CACHE / "count").read_text() == "again\n"
