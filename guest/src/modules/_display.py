"""Shows things in the forms that they have, as Jupyter does."""

import base64, json, traceback

# The methods that Jupyter asks, and the types of what they return.
_FORMS = {
    "_repr_html_": "text/html", "_repr_markdown_": "text/markdown", "_repr_latex_": "text/latex",
    "_repr_svg_": "image/svg+xml", "_repr_png_": "image/png", "_repr_jpeg_": "image/jpeg",
    "_repr_pdf_": "application/pdf", "_repr_json_": "application/json", "_repr_javascript_": "application/javascript",
}

# The longest text that stands for a thing: a longer one loses its middle.
_TEXT = 64 * 1024


def _ask(thing, method, *args, **options):
    """What a method of it returns, without the metadata; None if it has no such method."""
    # A class shows its instances and not itself, and what has every attribute has no such method.
    if isinstance(thing, type) or hasattr(thing, "_ipython_canary_method_should_not_exist_"):
        return None
    method = getattr(thing, method, None)
    if not callable(method):
        return None
    try:
        form = method(*args, **options)
    except Exception:
        # The other forms are as good.
        traceback.print_exc()
        return None
    return form[0] if isinstance(form, tuple) else form


def _text(thing):
    text = repr(thing)
    if len(text) > _TEXT:
        half = _TEXT // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters cut ...]\n{text[-half:]}"
    return text


def _written(form):
    if isinstance(form, (bytes, bytearray, memoryview)):
        return base64.b64encode(form).decode()
    return form if isinstance(form, str) else json.dumps(form)


def _rich_forms(thing, include, exclude):
    bundle = _ask(thing, "_repr_mimebundle_", include=include, exclude=exclude)
    forms = dict(bundle) if isinstance(bundle, dict) else {}
    for method, mime in _FORMS.items():
        if mime not in forms and (form := _ask(thing, method)) is not None:
            forms[mime] = form
    return forms


def _send(forms, include=None, exclude=None, is_result=False):
    wanted = {
        mime: _written(form) for mime, form in forms.items()
        if (include is None or mime in include) and mime not in (exclude or ())
    }
    if wanted:
        show(wanted, is_result)


def display(*things, include=None, exclude=None, raw=False):
    """Shows things: as tables, pictures, text, in every form that their `_repr_html_`, `_repr_png_` and so on have.

    `include` and `exclude` are MIME types. With `raw=True`, things are dicts of forms by their MIME types.
    """
    for thing in things:
        if raw:
            _send(thing, include, exclude)
        elif _has(thing, "_ipython_display_"):
            thing._ipython_display_()
        else:
            forms = _rich_forms(thing, include, exclude)
            forms.setdefault("text/plain", _text(thing))
            _send(forms, include, exclude)


def show_result(thing):
    """Shows the value of the last expression, if it has another form than its text."""
    if _has(thing, "_ipython_display_"):
        return thing._ipython_display_()
    forms = _rich_forms(thing, None, None)
    if forms:
        forms.setdefault("text/plain", _text(thing))
        _send(forms, is_result=True)


def _has(thing, method):
    return not isinstance(thing, type) and callable(getattr(type(thing), method, None))


display.__module__ = "builtins"
