"""The space of docs/add-a-space.md passes the conformance suite, and is as short as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-space.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
NAMES: dict[str, Any] = {"__name__": "add_a_space"}
for block in BLOCKS:
    exec(compile(block, PAGE.name, "exec"), NAMES)

TestVGG = NAMES["TestVGG"]


def test_the_page_is_short() -> None:
    assert len([line for block in BLOCKS for line in block.splitlines() if line.strip()]) < 40
