"""Shows things in several forms: `display`, and `HTML`, `Markdown`, `Image` and so on around texts and bytes."""

import base64, json

from builtins import display

__all__ = ["HTML", "Image", "JSON", "Javascript", "Latex", "Markdown", "Math", "SVG", "clear_output", "display"]


def clear_output(wait=False):
    """Does nothing: what is shown stays."""


class _Form:
    """A text or bytes with their form, given as `data` or read from a file."""

    def __init__(self, data=None, url=None, filename=None, metadata=None):
        if url is not None:
            raise ValueError("a page of the network can't be shown: a sandbox has none")
        if filename is not None:
            with open(filename, "rb") as opened:
                data = opened.read()
        self.data = data.decode() if self._is_text and isinstance(data, bytes) else data

    _is_text = True

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {self._mime: self.data}


class HTML(_Form):
    _mime = "text/html"


class Markdown(_Form):
    _mime = "text/markdown"


class Latex(_Form):
    _mime = "text/latex"


class Math(Latex):
    def __init__(self, data=None, **options):
        super().__init__(data, **options)
        self.data = f"$\\displaystyle {self.data.strip('$')}$"


class SVG(_Form):
    _mime = "image/svg+xml"


class Javascript(_Form):
    _mime = "application/javascript"


class JSON(_Form):
    _mime = "application/json"

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {self._mime: self.data if isinstance(self.data, str) else json.dumps(self.data)}


class Image(_Form):
    """A PNG or a JPEG, of bytes or of a file; the width and the height are not changed."""

    _is_text = False

    def __init__(self, data=None, url=None, filename=None, format=None, width=None, height=None, **options):
        if isinstance(data, str):
            data, filename = None, data
        super().__init__(data, url, filename)

    def _repr_mimebundle_(self, include=None, exclude=None):
        kind = "jpeg" if self.data.startswith(b"\xff\xd8") else "png"
        return {f"image/{kind}": base64.b64encode(self.data).decode()}
