"""Rules of the house that no linter has: `python tools/house.py [FILE ...]`.

- A file of the package has at most 400 lines, a function at most 60.
- `import voxmend` and `voxmend --help` load nothing heavy: torch alone takes longer than a second.
  A missing file is refused without torch and SciPy, `voxmend info` runs without scipy.signal.

Prints what breaks them, and then exits with 1. Sizes are those of the files named, by default all.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE, FUNCTION = 400, 60  # lines
HEAVY = {"torch", "scipy", "numpy", "soundfile", "matplotlib", "sklearn", "ray", "pyarrow", "upath"}
LIGHT = {  # what is run, by its name, and what it is not to load
    "import voxmend": ("import voxmend", HEAVY),
    "voxmend --help": ("from voxmend.cli import main; main.main(['--help'])", HEAVY),
    "voxmend mend MISSING OUT": (
        "from voxmend.cli import main; main.main(['mend', 'missing.wav', 'out.wav'])",
        HEAVY - {"numpy", "soundfile"}),
    "voxmend info": ("from voxmend.cli import main; main.main(['info', 'speech16k'])",
                     {"scipy.signal", "matplotlib", "sklearn", "ray", "pyarrow", "upath"})}
PACKAGE = Path(__file__).parent.parent / "src"


def too_long(file: Path) -> Iterator[str]:
    """What is too long in a file, a line each."""
    text = file.read_text(encoding="utf-8")
    if (lines := text.count("\n")) > FILE:
        yield f"{file}: {lines} lines, more than {FILE}: make two files of it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > FUNCTION:
                yield (f"{file}:{node.lineno}: {node.name} has {lines} lines, more than "
                       f"{FUNCTION}: make two functions of it")


def loads(code: str, heavy: set[str] = HEAVY) -> list[str]:
    """The heavy packages that code loads."""
    told = (f"import sys\ntry: exec({code!r})\nexcept SystemExit: pass\n"
            "print(*sys.modules, file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return sorted(heavy & {*done.stderr.split()})


def main(files: list[Path]) -> int:
    """Prints every breach; returns the exit code."""
    found = [line for file in files for line in too_long(file)]
    found += [f"{name}: loads {', '.join(loaded)}" for name, (code, heavy) in LIGHT.items()
              if (loaded := loads(code, heavy))]
    for line in found:
        print(line)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main([*map(Path, sys.argv[1:])] or sorted(PACKAGE.rglob("*.py"))))
