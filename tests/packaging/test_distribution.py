"""The wheel and the sdist as a user gets them: built once, installed into a fresh environment, and tried.

Builds without isolation and installs without dependencies, so it needs no network.
"""

from __future__ import annotations

import ast
import email.message
import email.parser
import inspect
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import types
import venv
import zipfile
from pathlib import Path
from typing import Set, Tuple

import pytest

import xchws

ROOT = Path(__file__).resolve().parent.parent.parent
NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", ".venvs", "*.egg-info", "__pycache__", ".hypothesis", ".*_cache", "build", "dist", "htmlcov"
)
EXTRAS_ONLY = ("click", "rich", "socks", "websockets")
"""What only the extras bring: the library itself has to do without."""


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=str(cwd),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_"))},
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, Path]:
    """The wheel and the sdist; the first is built from the second, so what is missing there is missing here."""
    room = tmp_path_factory.mktemp("distribution")
    shutil.copytree(str(ROOT), str(room / "source"), ignore=NOT_SOURCE)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", room / "dist", room / "source", cwd=room)
    (wheel,) = (room / "dist").glob("*.whl")
    (sdist,) = (room / "dist").glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="session")
def metadata(distributions: Tuple[Path, Path]) -> email.message.Message:
    with zipfile.ZipFile(distributions[0]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(wheel.read(name).decode("utf-8"))


@pytest.fixture(scope="session")
def environment(distributions: Tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it, and the running one's dependencies behind it on the path."""
    home = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(str(home), with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        distributions[0],
        cwd=home,
    )
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    behind = {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]}
    Path(run(python, "-I", "-c", query, cwd=home).strip(), "dependencies.pth").write_text("\n".join(sorted(behind)))
    return home


def sources() -> Set[str]:
    """Every module of the working tree, as its path in a distribution."""
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / "xchws").rglob("*.py")}


def test_wheel_holds_every_module_and_nothing_else(distributions: Tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == sources() | {"xchws/py.typed"}


def test_sdist_can_be_tested_and_read(distributions: Tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {"CHANGELOG.md", "LICENSE", "README.md", "Makefile", "setup.cfg", "setup.py", "pyproject.toml"}
    wanted |= {"tests/conftest.py", "tests/packaging/test_distribution.py", ".ci/run", ".ci/venv"}
    assert (wanted | sources()) - names == set()


def test_metadata(metadata: email.message.Message) -> None:
    assert metadata["Name"] == "xchws"
    assert metadata["Version"] == xchws.__version__
    assert metadata["Requires-Python"] == ">=3.9"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "MIT" in (metadata["License"], metadata["License-Expression"])
    assert set(metadata.get_all("Provides-Extra", [])) == {"cli", "sandbox", "socks", "test", "lint"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert readme in metadata.get_payload()


def test_every_requirement_of_users_is_a_range(metadata: email.message.Message) -> None:
    requirements = [str(line) for line in metadata.get_all("Requires-Dist", [])]
    for_users = [line for line in requirements if "extra ==" not in line or '"cli"' in line or '"sandbox"' in line]
    assert for_users
    for requirement in for_users:
        assert ">=" in requirement.partition(";")[0], f"{requirement}: no lowest version"
        assert "==" not in requirement.partition(";")[0], f"{requirement}: a pin shuts out every other library's wish"


def test_version_is_a_literal() -> None:
    # Read by the build without importing the package, whose dependencies are not there yet.
    tree = ast.parse((ROOT / "xchws" / "__init__.py").read_text(encoding="utf-8"))
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__version__" for target in node.targets)
    ]
    assert [value.value for value in values if isinstance(value, ast.Constant)] == [xchws.__version__]


def test_installed_package_is_the_one_imported(environment: Path) -> None:
    code = "import xchws, pathlib; print(pathlib.Path(xchws.__file__).parent); print(xchws.__version__)"
    where, version = run(environment / "bin" / "python", "-I", "-c", code, cwd=environment).split("\n")[:2]
    assert environment in Path(where).parents
    assert Path(where, "py.typed").is_file()
    assert version == xchws.__version__


def test_import_needs_no_extra_and_is_silent(environment: Path) -> None:
    code = (
        "import sys, logging, warnings, threading\n"
        "warnings.simplefilter('error')\n"
        f"sys.modules.update(dict.fromkeys({EXTRAS_ONLY!r}))\n"
        "import xchws\n"
        "assert not logging.getLogger().handlers, 'the root logger was configured'\n"
        "assert threading.active_count() == 1, 'a thread was started'\n"
        "assert 'asyncio' not in xchws.__dict__\n"
    )
    assert run(environment / "bin" / "python", "-I", "-c", code, cwd=environment) == ""


def test_command_is_installed(environment: Path) -> None:
    said = run(environment / "bin" / "xchws", "--help", cwd=environment)
    assert "usage" in said.lower()
    assert "demo" in said


def test_public_names_are_listed() -> None:
    assert list(xchws.__all__) == sorted(set(xchws.__all__)), "sorted, each once"
    for name in xchws.__all__:
        assert hasattr(xchws, name), f"xchws.{name} is in __all__ and is not there"


def test_no_public_name_is_forgotten() -> None:
    public = {
        name
        for name, value in vars(xchws).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or isinstance(value, types.FunctionType))
        and value.__module__.partition(".")[0] == "xchws"
    }
    assert public - set(xchws.__all__) == set()
