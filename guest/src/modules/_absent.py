"""Modules that programs import at their top for what they may never use: here, whatever they offer raises OSError."""

import importlib.machinery
import sys
import types
import urllib.parse

_NO_PROCESSES = "there are no other processes in the sandbox"
_NO_NETWORK = "there is no network in the sandbox, except for the tools that it grants"
_NO_MEMORY = "there is no memory of the system in the sandbox, and no code but Python's"
_NO_DEBUGGER = "there is no terminal in the sandbox at which to debug"

# What is absent: why, its functions and classes, its exceptions with their bases, what else it offers.
_MODULES = {
    "subprocess": (
        _NO_PROCESSES,
        "Popen run call check_call check_output getoutput getstatusoutput CompletedProcess",
        {"SubprocessError": Exception, "CalledProcessError": Exception, "TimeoutExpired": Exception},
        {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
    ),
    "socket": (
        _NO_NETWORK,
        "socket create_connection create_server socketpair getaddrinfo gethostbyname gethostbyaddr gethostname getfqdn "
        "getnameinfo getservbyname getservbyport getprotobyname fromfd has_dualstack_ipv6 if_nameindex inet_aton inet_ntoa "
        "inet_pton inet_ntop setdefaulttimeout",
        {"gaierror": OSError, "herror": OSError},
        {"error": OSError, "timeout": TimeoutError, "AF_UNSPEC": 0, "AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "SOCK_STREAM": 1, "SOCK_DGRAM": 2, "SOL_SOCKET": 1,
         "SO_REUSEADDR": 2, "SO_KEEPALIVE": 9, "IPPROTO_TCP": 6, "IPPROTO_UDP": 17, "IPPROTO_IPV6": 41, "TCP_NODELAY": 1,
         "AI_PASSIVE": 1, "SHUT_RD": 0, "SHUT_WR": 1, "SHUT_RDWR": 2, "SOMAXCONN": 4096, "has_ipv6": False,
         "EAI_NONAME": -2, "MSG_PEEK": 2},
    ),
    "ssl": (
        _NO_NETWORK,
        "SSLContext SSLSocket SSLObject create_default_context wrap_socket get_server_certificate MemoryBIO",
        {"SSLError": OSError, "SSLCertVerificationError": OSError, "CertificateError": OSError, "SSLZeroReturnError": OSError,
         "SSLWantReadError": OSError, "SSLWantWriteError": OSError},
        {"CERT_NONE": 0, "CERT_OPTIONAL": 1, "CERT_REQUIRED": 2, "PROTOCOL_TLS": 2, "PROTOCOL_TLS_CLIENT": 16,
         "PROTOCOL_TLS_SERVER": 17, "OP_NO_SSLv2": 0, "OP_NO_SSLv3": 1 << 25, "OP_NO_COMPRESSION": 1 << 17, "HAS_SNI": True,
         "OPENSSL_VERSION": "", "OPENSSL_VERSION_INFO": (0, 0, 0, 0, 0)},
    ),
    "http.client": (
        _NO_NETWORK,
        "HTTPConnection HTTPSConnection HTTPResponse parse_headers",
        {"HTTPException": Exception, "NotConnected": Exception, "InvalidURL": Exception, "BadStatusLine": Exception,
         "IncompleteRead": Exception, "ResponseNotReady": Exception, "CannotSendRequest": Exception,
         "RemoteDisconnected": ConnectionResetError},
        {"HTTP_PORT": 80, "HTTPS_PORT": 443},
    ),
    "http.cookiejar": (_NO_NETWORK, "CookieJar Cookie CookiePolicy DefaultCookiePolicy FileCookieJar MozillaCookieJar", {}, {}),
    "urllib.request": (
        _NO_NETWORK,
        "urlopen urlretrieve urlcleanup build_opener install_opener Request OpenerDirector BaseHandler HTTPHandler HTTPSHandler "
        "HTTPRedirectHandler HTTPCookieProcessor HTTPErrorProcessor HTTPBasicAuthHandler HTTPPasswordMgr "
        "HTTPPasswordMgrWithDefaultRealm ProxyHandler ProxyBasicAuthHandler FileHandler",
        {},
        {},
    ),
    "mmap": (_NO_MEMORY, "mmap", {}, {"error": OSError, "ACCESS_READ": 1, "ACCESS_WRITE": 2, "ACCESS_COPY": 3, "PAGESIZE": 65536}),
    "ctypes": (
        _NO_MEMORY,
        "CDLL PyDLL Structure Union Array POINTER CFUNCTYPE PYFUNCTYPE byref addressof sizeof alignment cast pointer memmove "
        "memset string_at wstring_at create_string_buffer create_unicode_buffer c_bool c_byte c_char c_char_p c_double c_float "
        "c_int c_int8 c_int16 c_int32 c_int64 c_long c_longlong c_short c_size_t c_ssize_t c_ubyte c_uint c_uint8 c_uint16 "
        "c_uint32 c_uint64 c_ulong c_ulonglong c_ushort c_void_p c_wchar c_wchar_p py_object",
        {"ArgumentError": Exception},
        {},
    ),
    "ctypes.util": (_NO_MEMORY, "find_library find_msvcrt", {}, {}),
    "pdb": (_NO_DEBUGGER, "set_trace run runeval runcall post_mortem pm", {"Restart": Exception}, {}),
}


def _absent(module, name, why):
    def __new__(cls, *args, **kwargs):
        raise OSError(f"{module}.{name}: {why}")

    return type(name, (), {"__module__": module, "__new__": __new__, "__doc__": f"Raises OSError: {why}."})


def _make(name, why, absent, exceptions, constants):
    module = types.ModuleType(name, f"Stands in for a module whose functions raise OSError here: {why}.")
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin="frozen")
    for each in absent.split():
        setattr(module, each, _absent(name, each, why))
    for each, base in exceptions.items():
        setattr(module, each, type(each, (base,), {"__module__": name}))
    vars(module).update(constants)
    return module


for _name, _parts in _MODULES.items():
    sys.modules[_name] = _module = _make(_name, *_parts)
    _holder, _, _short = _name.rpartition(".")
    if _holder:
        __import__(_holder)
        setattr(sys.modules[_holder], _short, _module)


class _Pdb:
    """What `doctest` makes to be ready for a call of `set_trace`."""

    __module__, __qualname__ = "pdb", "Pdb"

    def __init__(self, *args, **kwargs):
        pass

    def reset(self):
        pass

    set_trace = sys.modules["pdb"].set_trace


sys.modules["pdb"].Pdb = _Pdb
sys.modules["socket"].getdefaulttimeout = lambda: None
sys.modules["urllib.request"].pathname2url = lambda path: urllib.parse.quote(path)
sys.modules["urllib.request"].url2pathname = lambda url: urllib.parse.unquote(url)
sys.modules["urllib.request"].getproxies = lambda: {}
sys.modules["ctypes"].util = sys.modules["ctypes.util"]
sys.modules["ctypes"].__path__ = []
