"""Printed: the samples of the vendors' pages that stand in samples, and what is written there in no JSON."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, Dict, List

SAMPLES = Path(__file__).resolve().parent / "samples"


def printed(vendor: str, name: str) -> str:
    """A sample, as it is printed."""
    return (SAMPLES / vendor / name).read_text("utf-8")


def meant(text: str, **names: Any) -> Any:
    """What a literal of JavaScript (or nearly so) says; `names` are the values of its variables."""
    text = re.sub(r"'([^'\n]*)'", r'"\1"', text)
    text = re.sub(r"([{,]\s*)(\w+)(?=:)", r'\1"\2"', text)
    text = re.sub(r",(\s*[}\]])", r"\1", text)
    for name, value in {"False": False, **names}.items():
        said = json.dumps(value).replace("\\", r"\\")
        text = re.sub(rf"(:\s*){name}\b", rf"\g<1>{said}", text)
    return json.loads(text)


def table(vendor: str, name: str) -> List[Dict[str, str]]:
    """A table of a page, a row a dict."""
    with (SAMPLES / vendor / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
