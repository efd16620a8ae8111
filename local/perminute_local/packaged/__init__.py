"""Files of the checkout that commands read at run time, as links: an installation has copies.

`template.yaml` is the system that a replay runs; `ministack.lock` is what its emulator is made of,
`console.lock` what makes the charts of the console.
"""

from __future__ import annotations

from pathlib import Path

TEMPLATE = Path(__file__).with_name("template.yaml").resolve()
EMULATOR_LOCK = Path(__file__).with_name("ministack.lock").resolve()
CHARTS_LOCK = Path(__file__).with_name("console.lock").resolve()
