"""A command line that tests can call, and the documented schema of its JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archindex.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines of stdout."""
        return self.out.splitlines()

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        content = json.loads(self.out)
        assert isinstance(content, dict)
        return content


Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep imported tables out of the user's home, and data of this machine out of the tests."""
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ARCHINDEX_DATA", raising=False)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run the command line in this process."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of every kind, as docs/json-schema.md has it."""
    text = (DOCS / "json-schema.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (\S+)\n.*?```json\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    return {kind: json.loads(schema) for kind, schema in found}


@pytest.fixture
def check_json(schemas: dict[str, dict[str, Any]]) -> Callable[[dict[str, Any], str], None]:
    """Check an output against the documented schema of its kind."""

    def check(content: dict[str, Any], kind: str) -> None:
        assert list(content)[:2] == ["archindex", "kind"]
        assert (content["archindex"], content["kind"]) == (1, kind)
        members = {k: v for k, v in content.items() if k not in ("archindex", "kind")}
        assert problems(members, schemas[kind], kind) == []

    return check


def problems(value: Any, schema: dict[str, Any], at: str) -> list[str]:
    """Return where a value and a schema differ; members that are missing or not documented count."""
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r} is none of {schema['enum']}"]
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    allowed = tuple(kind for name in names for kind in TYPES[name])
    if not isinstance(value, allowed) or (isinstance(value, bool) and "boolean" not in names):
        return [f"{at}: {value!r} is no {' or '.join(names)}"]
    found: list[str] = []
    if isinstance(value, dict) and "properties" in schema:
        if set(value) != set(schema["properties"]):
            found.append(f"{at}: differs in {set(value) ^ set(schema['properties'])}")
        for name, part in schema["properties"].items():
            found += problems(value[name], part, f"{at}.{name}") if name in value else []
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for name, part in value.items():
            found += problems(part, schema["additionalProperties"], f"{at}.{name}")
    if isinstance(value, list):
        for i, part in enumerate(value):
            found += problems(part, schema["items"], f"{at}[{i}]")
    return found
