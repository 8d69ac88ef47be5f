"""What of docstrings has to be told to Markdown: doctests are code."""

import re
from typing import Any

import griffe


class Doctests(griffe.Extension):
    """Fences doctests that stand in a docstring without a heading."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Changes the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^>>> .*(?:\n.+)*", r"```pycon\n\g<0>\n```",
                                         obj.docstring.value)
