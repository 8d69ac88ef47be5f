"""HTML pages as tests read them."""

import base64
import io
import json
from html.parser import HTMLParser

import soundfile

VOID = {"meta", "input", "link", "br", "img"}  # tags that nothing closes


class Page(HTMLParser):
    """The elements of a page: `found`, tag, attributes and text of each that is closed."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self.open.append(self.found[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for element in self.open:
            element[2] += data

    def all(self, tag, **attributes):
        return [(told, text.strip()) for name, told, text in self.found
                if name == tag and attributes.items() <= told.items()]

    @property
    def data(self):
        """What the script is told."""
        [(_, text)] = self.all("script", type="application/json")
        return json.loads(text)

    @property
    def sounds(self):
        """What is embedded, decoded: `[T, C]` and its rate, of each."""
        urls = [told["src"] for told, _ in self.all("audio")]
        assert all(url.startswith("data:audio/flac;base64,") for url in urls)
        return [soundfile.read(io.BytesIO(base64.b64decode(url.partition(",")[2])), always_2d=True)
                for url in urls]
