"""Python wrapper for Expat parser."""

import _expat
import codecs
import re
import sys
import types
import warnings

# What expat knows by itself; other encodings with one byte for each character are decoded here.
_BUILT_IN = {"utf-8", "utf-16", "utf-16be", "utf-16le", "iso-8859-1", "us-ascii"}
_DECLARATION = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")

_HANDLERS = (
    "StartElementHandler", "EndElementHandler", "ProcessingInstructionHandler", "CharacterDataHandler",
    "UnparsedEntityDeclHandler", "NotationDeclHandler", "StartNamespaceDeclHandler", "EndNamespaceDeclHandler",
    "CommentHandler", "StartCdataSectionHandler", "EndCdataSectionHandler", "DefaultHandler", "DefaultHandlerExpand",
    "NotStandaloneHandler", "ExternalEntityRefHandler", "StartDoctypeDeclHandler", "EndDoctypeDeclHandler",
    "EntityDeclHandler", "XmlDeclHandler", "ElementDeclHandler", "AttlistDeclHandler", "SkippedEntityHandler",
)

_MESSAGES = {
    "XML_ERROR_NO_MEMORY": "out of memory",
    "XML_ERROR_SYNTAX": "syntax error",
    "XML_ERROR_NO_ELEMENTS": "no element found",
    "XML_ERROR_INVALID_TOKEN": "not well-formed (invalid token)",
    "XML_ERROR_UNCLOSED_TOKEN": "unclosed token",
    "XML_ERROR_PARTIAL_CHAR": "partial character",
    "XML_ERROR_TAG_MISMATCH": "mismatched tag",
    "XML_ERROR_DUPLICATE_ATTRIBUTE": "duplicate attribute",
    "XML_ERROR_JUNK_AFTER_DOC_ELEMENT": "junk after document element",
    "XML_ERROR_PARAM_ENTITY_REF": "illegal parameter entity reference",
    "XML_ERROR_UNDEFINED_ENTITY": "undefined entity",
    "XML_ERROR_RECURSIVE_ENTITY_REF": "recursive entity reference",
    "XML_ERROR_ASYNC_ENTITY": "asynchronous entity",
    "XML_ERROR_BAD_CHAR_REF": "reference to invalid character number",
    "XML_ERROR_BINARY_ENTITY_REF": "reference to binary entity",
    "XML_ERROR_ATTRIBUTE_EXTERNAL_ENTITY_REF": "reference to external entity in attribute",
    "XML_ERROR_MISPLACED_XML_PI": "XML or text declaration not at start of entity",
    "XML_ERROR_UNKNOWN_ENCODING": "unknown encoding",
    "XML_ERROR_INCORRECT_ENCODING": "encoding specified in XML declaration is incorrect",
    "XML_ERROR_UNCLOSED_CDATA_SECTION": "unclosed CDATA section",
    "XML_ERROR_EXTERNAL_ENTITY_HANDLING": "error in processing external entity reference",
    "XML_ERROR_NOT_STANDALONE": "document is not standalone",
    "XML_ERROR_UNEXPECTED_STATE": "unexpected parser state - please send a bug report",
    "XML_ERROR_ENTITY_DECLARED_IN_PE": "entity declared in parameter entity",
    "XML_ERROR_FEATURE_REQUIRES_XML_DTD": "requested feature requires XML_DTD support in Expat",
    "XML_ERROR_CANT_CHANGE_FEATURE_ONCE_PARSING": "cannot change setting once parsing has begun",
    "XML_ERROR_UNBOUND_PREFIX": "unbound prefix",
    "XML_ERROR_UNDECLARING_PREFIX": "must not undeclare prefix",
    "XML_ERROR_INCOMPLETE_PE": "incomplete markup in parameter entity",
    "XML_ERROR_XML_DECL": "XML declaration not well-formed",
    "XML_ERROR_TEXT_DECL": "text declaration not well-formed",
    "XML_ERROR_PUBLICID": "illegal character(s) in public id",
    "XML_ERROR_SUSPENDED": "parser suspended",
    "XML_ERROR_NOT_SUSPENDED": "parser not suspended",
    "XML_ERROR_ABORTED": "parsing aborted",
    "XML_ERROR_FINISHED": "parsing finished",
    "XML_ERROR_SUSPEND_PE": "cannot suspend in external parameter entity",
    "XML_ERROR_RESERVED_PREFIX_XML": "reserved prefix (xml) must not be undeclared or bound to another namespace name",
    "XML_ERROR_RESERVED_PREFIX_XMLNS": "reserved prefix (xmlns) must not be declared or undeclared",
    "XML_ERROR_RESERVED_NAMESPACE_URI": "prefix must not be bound to one of the reserved namespace names",
    "XML_ERROR_INVALID_ARGUMENT": "invalid argument",
    "XML_ERROR_NO_BUFFER": "a successful prior call to function XML_GetBuffer was required",
    "XML_ERROR_AMPLIFICATION_LIMIT_BREACH": "limit on input amplification factor (from DTD and entities) breached",
    "XML_ERROR_NOT_STARTED": "parser not started",
}

XML_PARAM_ENTITY_PARSING_NEVER = 0
XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE = 1
XML_PARAM_ENTITY_PARSING_ALWAYS = 2

EXPAT_VERSION = "expat_2.9.0"
version_info = (2, 9, 0)
native_encoding = "UTF-8"
features = [("sizeof(XML_Char)", 1), ("sizeof(XML_LChar)", 1), ("XML_DTD", 0), ("XML_NS", 0)]

model = types.ModuleType("pyexpat.model", "Constants used to interpret content model information.")
model.XML_CTYPE_EMPTY, model.XML_CTYPE_ANY, model.XML_CTYPE_MIXED = 1, 2, 3
model.XML_CTYPE_NAME, model.XML_CTYPE_CHOICE, model.XML_CTYPE_SEQ = 4, 5, 6
model.XML_CQUANT_NONE, model.XML_CQUANT_OPT, model.XML_CQUANT_REP, model.XML_CQUANT_PLUS = 0, 1, 2, 3

errors = types.ModuleType("pyexpat.errors", "Constants used to describe error conditions.")
vars(errors).update(_MESSAGES)
errors.codes = {message: code for code, message in enumerate(_MESSAGES.values(), 1)}
errors.messages = {code: message for message, code in errors.codes.items()}
sys.modules["pyexpat.model"], sys.modules["pyexpat.errors"] = model, errors


class ExpatError(Exception):
    __module__ = "xml.parsers.expat"


error = ExpatError


def ErrorString(code, /):
    """Returns string error for given number."""
    return errors.messages.get(code)


def ParserCreate(encoding=None, namespace_separator=None, intern=...):
    """Return a new XML parser object."""
    for name, value in (("encoding", encoding), ("namespace_separator", namespace_separator)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"ParserCreate() argument '{name}' must be str or None, not {type(value).__name__}")
    if namespace_separator is not None and len(namespace_separator) > 1:
        raise ValueError("namespace_separator must be at most one character, omitted, or None")
    if intern is ...:
        intern = {}
    elif intern is not None and not isinstance(intern, dict):
        raise TypeError("intern must be a dictionary")
    parser = xmlparser.__new__(xmlparser)
    parser._encoding, parser._separator = encoding, namespace_separator
    parser._parser = parser._decoder = None
    parser._base, parser._position = None, (1, 0, -1)
    parser._foreign, parser._defers = False, True
    parser.intern = intern
    parser._flags = {}
    parser._buffer_size = 8192
    parser.buffer_used = 0
    parser.ErrorCode = parser.ErrorColumnNumber = 0
    parser.ErrorLineNumber, parser.ErrorByteIndex = 1, -1
    for handler in _HANDLERS:
        setattr(parser, handler, None)
    return parser


def _flag(name):
    """An attribute that is true or false."""
    return property(lambda self: self._flags.get(name, False), lambda self, value: self._flags.update({name: bool(value)}))


class xmlparser:
    """XML parser"""

    __module__ = "pyexpat"
    __slots__ = _HANDLERS + (
        "_encoding", "_separator", "_parser", "_decoder", "_base", "_position", "_buffer_size", "_flags", "_foreign", "_defers",
        "_data", "intern", "buffer_used", "ErrorCode", "ErrorLineNumber", "ErrorColumnNumber", "ErrorByteIndex", "__weakref__",
    )
    buffer_text, ordered_attributes = _flag("buffer_text"), _flag("ordered_attributes")
    specified_attributes, namespace_prefixes = _flag("specified_attributes"), _flag("namespace_prefixes")

    def __init__(self):
        raise TypeError("cannot create 'pyexpat.xmlparser' instances")

    @property
    def buffer_size(self):
        return self._buffer_size

    @buffer_size.setter
    def buffer_size(self, size):
        if not isinstance(size, int):
            raise TypeError("buffer_size must be an integer")
        if size <= 0:
            raise ValueError("buffer_size must be greater than zero")
        if size > 0x7FFF_FFFF:
            raise ValueError(f"buffer_size must not be greater than {0x7FFF_FFFF}")
        self._buffer_size = size

    @property
    def CurrentLineNumber(self):
        return self._position[0]

    @property
    def CurrentColumnNumber(self):
        return self._position[1]

    @property
    def CurrentByteIndex(self):
        return self._position[2]

    def _start(self, data):
        encoding = self._encoding
        if encoding is None and (declared := _DECLARATION.match(data)):
            encoding = declared[1].decode()
        if encoding is not None and encoding.lower() not in _BUILT_IN:
            try:
                if len(bytes(range(256)).decode(encoding, "replace")) != 256:
                    raise ValueError("multi-byte encodings are not supported")
                self._decoder, encoding = codecs.getincrementaldecoder(encoding)("replace"), "utf-8"
            except LookupError:
                pass
        elif self._encoding is None:
            encoding = None
        separator = self._separator
        separator = None if separator is None else separator.encode() or b"\0"
        self._parser = _expat.Parser(encoding and encoding.encode(), separator, self.namespace_prefixes, self._foreign)
        self._parser.defer(self._defers)
        tree = getattr(self.StartElementHandler, "__self__", None)
        if hasattr(tree, "_expat_data"):
            self._serve(tree)

    def _serve(self, tree):
        """Sets the handlers that RustPython's `_elementtree` leaves out and CPython's has."""

        def default(text):
            if text.startswith("&"):
                name = text[1:-1]
                if name not in tree.entity:
                    raise self._undefined(text)
                tree._expat_data(tree.entity[name])

        def start_doctype(name, system, public, has_internal_subset):
            if doctype is not None:
                doctype(name, public, system)
            elif hasattr(tree, "doctype"):
                message = "The doctype() method of XMLParser is ignored.  Define doctype() method on the TreeBuilder target."
                warnings.warn(message, RuntimeWarning)

        doctype = getattr(tree.target, "doctype", None)
        self.DefaultHandlerExpand, self.StartDoctypeDeclHandler = default, start_doctype
        start, end = self.StartNamespaceDeclHandler, self.EndNamespaceDeclHandler
        if start is not None:
            self.StartNamespaceDeclHandler = lambda prefix, uri: start(prefix or "", uri or "")
            self.EndNamespaceDeclHandler = lambda prefix: end(prefix or "")

    def _undefined(self, reference):
        """The error for an entity, where the part that is being parsed names it first."""
        line, column, _ = self._position
        before = self._data[: max(0, self._data.find(reference.encode()))]
        rows = before.split(b"\n")
        column = len(rows[-1]) + (column if len(rows) == 1 else 0)
        return self._failure(errors.codes["undefined entity"], f"undefined entity {reference}", line + len(rows) - 1, column)

    def _failure(self, code, message, line, column):
        failed = ExpatError(f"{message}: line {line}, column {column}")
        failed.code, failed.lineno, failed.offset = code, line, column
        return failed

    def Parse(self, data, isfinal=False, /):
        """Parse XML data."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
            if self._parser is None:
                self._encoding = "utf-8"
        if self._parser is None:
            self._start(bytes(data))
        if self._decoder is not None:
            data = self._decoder.decode(data, isfinal).encode()
        self._data = data
        code = self._parser.parse(self, data, bool(isfinal))
        self._position = line, column, index = self._parser.position()
        self._data = b""
        if code:
            self.ErrorCode, self.ErrorLineNumber, self.ErrorColumnNumber, self.ErrorByteIndex = code, line, column, index
            raise self._failure(code, errors.messages[code], line, column)
        return 1

    def ParseFile(self, file, /):
        """Parse XML data from file-like object."""
        read = getattr(file, "read", None)
        if read is None:
            raise TypeError("argument must have 'read' attribute")
        while True:
            data = read(2048)
            if not isinstance(data, (bytes, bytearray, str)):
                raise TypeError(f"read() did not return a bytes object (type={type(data).__name__})")
            self.Parse(data, not data)
            if not data:
                return 1

    def SetBase(self, base, /):
        """Set the base URL for the parser."""
        self._base = base

    def GetBase(self):
        """Return base URL string for the parser."""
        return self._base

    def GetInputContext(self):
        """Return the untranslated text of the input that caused the current event."""

    def ExternalEntityParserCreate(self, context, encoding=None, /):
        """Create a parser for parsing an external entity based on the information passed to the ExternalEntityRefHandler."""
        raise NotImplementedError("external entities are not read here: what they name is outside of the document")

    def SetParamEntityParsing(self, flag, /):
        """Controls parsing of parameter entities (including the external DTD subset)."""
        return int(flag == XML_PARAM_ENTITY_PARSING_NEVER)

    def UseForeignDTD(self, flag=True, /):
        """Allows the application to provide an artificial external subset if one is not specified as part of the document instance."""
        self._foreign = bool(flag)

    def GetReparseDeferralEnabled(self):
        """Retrieve reparse deferral enabled status."""
        return self._defers

    def SetReparseDeferralEnabled(self, enabled, /):
        """Enable/Disable reparse deferral."""
        self._defers = bool(enabled)
        if self._parser is not None:
            self._parser.defer(self._defers)


XMLParserType = xmlparser
