"""Hooks of mkdocs: pages, sounds and pictures that are made when the site is built.

- `api/NAME.md` for every subpackage, in the order of the layers in pyproject.toml.
- `command-line.md`, the help of every verb; `models.md`, the cards of the bundled weights.
- `sounds/`, by tools/docs_sounds.py and tools/docs_pictures.py, anew when the package has changed.
- Functions of tools/docs_tables.py in `<!-- {{ }} -->`, a comment to all other readers of a page.
- Names of pages in code spans become links, and pages that `nav` does not name follow the how-to.
"""

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PACKAGE, TOOLS, SOUNDS = ROOT / "src" / "voxmend", ROOT / "tools", ROOT / ".docs-sounds"
BESIDE = {"contributing.md": "CONTRIBUTING.md", "changes.md": "CHANGELOG.md"}
sys.path.insert(0, str(TOOLS))

import docs_tables  # noqa: E402, a neighbour


def packages() -> list[str]:
    """The subpackages, the topmost layer first."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = " ".join(told["tool"]["importlinter"]["contracts"][0]["layers"])
    return [name for name in re.findall(r"\w+", layers) if (PACKAGE / name).is_dir()]


def package_page(package: str) -> str:
    """The reference of a subpackage: its docstring, and that of every module in it.

    Of its `__init__.py` only what is defined there, since what it imports stands below.
    """
    files = sorted(file for file in (PACKAGE / package).rglob("*.py")
                   if file.stem == "__init__" or not file.stem.startswith("_"))
    page = []
    for file in files:
        name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        own = [node.name for node in ast.parse(file.read_text(encoding="utf-8")).body
               if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"]
        only = f", members: {own or 'false'}" if file.stem == "__init__" else ""
        level = 2 if page else 1
        page.append(f"::: {name.removesuffix('.__init__')}\n    options: "
                    f"{{show_submodules: false, heading_level: {level}{only}}}")
    return "\n\n".join(page)


def help_pages(page: object, prog: str) -> Iterator[str]:
    """The help of a page of the command, and of every verb below it."""
    from voxmend.cli.main import main
    from voxmend.cli.pages import Page as Verbs

    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        main([*prog.split()[1:], "--help"])
    yield f"{'#' * (1 + len(prog.split()))} {prog}\n\n```\n{told.getvalue().strip()}\n```\n"
    if isinstance(page, Verbs):
        for name, verb in page.entries.items():
            yield from help_pages(verb, f"{prog} {name}")


def command_line() -> str:
    """The help of every verb."""
    from voxmend.cli.main import HOME

    os.environ |= {"COLUMNS": "96", "NO_COLOR": "1"}
    return "# Command line\n\n" + "\n".join(help_pages(HOME, "voxmend"))


def make_sounds() -> None:
    """Runs the scripts that make sounds and pictures, unless nothing that they use has changed."""
    done, scripts = SOUNDS / "done", [TOOLS / "docs_sounds.py", TOOLS / "docs_pictures.py"]
    sources = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.safetensors"), *scripts]
    if done.exists() and done.stat().st_mtime > max(file.stat().st_mtime for file in sources):
        return
    for script in scripts:
        subprocess.run([sys.executable, str(script), str(SOUNDS)], check=True)
    done.touch()


def mathml(source: str, *_: object, **__: object) -> str:
    """A formula in LaTeX as MathML, which browsers draw without a script."""
    return f'<div class="math">{convert(source, display="block")}</div>'


def on_config(config: MkDocsConfig) -> None:
    """Names the API's pages and those that `nav` does not name yet, and the fence of formulas."""
    sections = {title: entries for section in config.nav for title, entries in section.items()}
    sections["Reference"][-1]["API"] = ["api/index.md",
                                        *({name: f"api/{name}.md"} for name in packages())]
    named = Path(config.config_file_path).read_text(encoding="utf-8")
    written = sorted(path.relative_to(config.docs_dir).as_posix()
                     for path in Path(config.docs_dir).rglob("*.md"))
    sections["How to"] += [uri for uri in written if not re.search(rf"\b{uri}\b", named)
                           and uri != "api/index.md"]
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [
        {"name": "math", "class": "math", "format": mathml}]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds what is made."""
    make_sounds()
    pages = {f"api/{name}.md": package_page(name) for name in packages()}
    pages |= {"command-line.md": command_line(),
              "models.md": f"# Models\n\nThe cards of the weights that come with the package.\n\n"
                           f"{docs_tables.models()}"}
    pages |= {page: (ROOT / name).read_text(encoding="utf-8") for page, name in BESIDE.items()}
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))
    for path in sorted(SOUNDS.glob("*.*")):
        files.append(File.generated(config, f"sounds/{path.name}", abs_src_path=str(path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Calls the functions that a page names, and makes links of the pages that it names."""
    if "{{" in markdown and not page.file.generated_by:
        shown = re.sub(r"<!-- (\{\{.*?\}\}) -->", r"\1", markdown, flags=re.DOTALL)
        template = Environment(undefined=StrictUndefined, autoescape=False).from_string(shown)
        up = "../" * page.file.src_uri.count("/")
        markdown = template.render(table=docs_tables.table,
                                   listen=partial(docs_tables.listen, folder=SOUNDS, up=up))

    def link(found: re.Match[str]) -> str:
        uri = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md",
               "CHANGELOG.md": "changes.md"}.get(found[1], found[1])
        if files.get_file_from_path(uri) is None or uri == page.file.src_uri:
            return found[0]
        return f"[{found[0]}]({os.path.relpath(uri, Path(page.file.src_uri).parent)})"

    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else
                   re.sub(r"(?<!\[)`(?:docs/)?([\w-]+\.md)`(?!\])", link, part) for part in parts)
