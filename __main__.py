"""The root project is the example `examples/tokens`: the engine wants a program beside the environment that it uses."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).parent / "examples" / "tokens" / "__main__.py"))
