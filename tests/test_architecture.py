"""The house rules that a machine can check: layout, imports, sizes, docstrings, and that README's map is the land."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("backend", "worker", "ui", "migrations")
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
VAGUE_FOLDERS = re.compile(r"^(utils?|helpers?|common|misc|managers?|base_.*)$")


def tracked(*suffixes: str) -> list[Path]:
    """Files of the repository, and those about to be added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [ROOT / name for name in names if name.endswith(suffixes) and (ROOT / name).is_file()]


def our_modules() -> list[Path]:
    return [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] in OURS]


def readme_map() -> list[str]:
    """The lines of README's tree."""
    section = (ROOT / "README.md").read_text().partition("## The map")[2]
    return section.split("```")[1].strip("\n").splitlines()


def mapped_paths() -> set[str]:
    """Every path that README's tree names: entries of an indented line lie in the last unindented folder."""
    paths: set[str] = set()
    top = ""
    for line in readme_map():
        is_nested = line.startswith(" ")
        # Two spaces and more set an entry apart from what is said of it; a line of files alone says nothing.
        entries, _, said = line.strip().partition("   ")
        words = entries.split() if said or is_nested or "/" in entries.split()[0] else line.split()
        if not is_nested and len(words) == 1 and words[0].endswith("/"):
            top = words[0]
            paths.add(top)
            paths.update(top + name for name in said.split() if top == "docs/")
        else:
            paths.update((top if is_nested else "") + word for word in words)
    return paths


def test_every_place_on_the_readmes_map_exists() -> None:
    missing = sorted(path for path in mapped_paths() if not (ROOT / path).exists())
    assert missing == []


def test_every_package_is_on_the_readmes_map() -> None:
    packages = {
        f"{path.parent.relative_to(ROOT).as_posix()}/"
        for path in our_modules()
        if path.name == "__init__.py" and len(path.parent.relative_to(ROOT).parts) == 2
    }
    assert packages - mapped_paths() - {"migrations/versions/"} == set()


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in tracked(".py", ".js", ".css")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    long = {}
    for path in our_modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1 - _docstring_lines(node)
                if length > LONGEST_FUNCTION:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    assert {name: length for name, length in long.items() if "migrations/versions" not in name} == {}


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = ast.get_docstring(node, clean=False)
    return 0 if docstring is None else docstring.count("\n") + 1


def test_every_module_says_what_it_is() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in tracked(".py")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    # An empty __init__.py that only marks a folder of tests has nothing to say.
    assert [name for name in silent if not (name.startswith("tests/") and name.endswith("__init__.py"))] == []


def test_folders_are_nouns_of_the_domain() -> None:
    folders = {part for path in our_modules() for part in path.relative_to(ROOT).parts[:-1]}
    assert [folder for folder in folders if VAGUE_FOLDERS.match(folder)] == []


def test_nothing_is_left_to_do_in_the_code() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [path.relative_to(ROOT).as_posix() for path in our_modules() if marks.search(path.read_text())]
    assert found == []


def test_imports_keep_their_contracts() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("backend.app", "torch transformers gradio"),
        ("backend.cli", "torch transformers gradio sqlalchemy celery fastapi"),
        ("worker.tasks", "torch transformers gradio"),
        ("worker.interactive", "torch transformers gradio"),
        pytest.param(
            "worker.maskgrpo.trainer worker.showo.policy worker.rewards.build",
            "sqlalchemy celery fastapi httpx gradio",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_importing_stays_light(modules: str, forbidden: str) -> None:
    assert loaded_after("; ".join(f"import {module}" for module in modules.split()), forbidden) == []


@pytest.mark.slow
def test_the_web_process_with_all_its_pages_imports_no_torch() -> None:
    script = "from ui.app import build_pages, create_studio; create_studio(); build_pages()"
    assert loaded_after(script, "torch transformers open_clip") == []


def loaded_after(script: str, watched: str) -> list[str]:
    """Which of the watched packages a fresh interpreter has loaded after the script."""
    ending = f"import sys; print('loaded:', *(name for name in {watched.split()!r} if name in sys.modules))"
    command = [sys.executable, "-c", f"{script}\n{ending}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[-1].split()[1:]


def test_the_lock_pins_every_dependency_to_one_version() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and line[0] not in " #"]
    assert [line for line in lines if not re.match(r"^[a-z0-9._-]+==[^=\s]+( ; .+)?$", line)] == []
    pinned = {re.split("==", line)[0] for line in lines}
    project = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r'^    "([A-Za-z0-9_-]+)(?:\[[a-z]+\])?(?:[<>=].*)?",$', project, re.MULTILINE))
    assert {name.lower().replace("_", "-") for name in wanted} - pinned == set()
