import io, os.path, pathlib
from pathlib import PurePosixPath, PureWindowsPath, Path
p = PurePosixPath("/data/in/report.tar.gz"); print(p.name, p.stem, p.suffix, p.suffixes, p.parent, p.parts, p / "x", p.with_suffix(".csv"), p.with_name("b"), p.relative_to("/data"), p.match("*.gz"), list(p.parents)[:2], p.is_absolute(), PurePosixPath("a//b/../c"), repr(p), PureWindowsPath("C:\\a\\b.txt").parts, PurePosixPath("a") < PurePosixPath("b"), p.as_uri(), p.joinpath("a", "b"))
print(os.path.join("a", "/b", "c"), os.path.splitext("x.tar.gz"), os.path.basename("/a/b/"), os.path.dirname("/a/b"), os.path.normpath("a/./b/../c"), os.path.relpath("/a/b", "/a/c"), os.path.commonpath(["/a/b", "/a/c"]), os.path.split("/a/b"), os.path.isabs("x"), os.path.expanduser("~x"), os.path.exists("/nope"), Path("/nope").exists(), Path("nope").is_file())
b = io.BytesIO(b"abc\ndef\r\nghi"); print(b.readline(), b.tell(), b.read(2), b.seek(0), b.readlines(), b.getbuffer().nbytes)
s = io.StringIO("a\r\nb\rc\n", newline=None); print(s.readlines(), s.seek(0), s.read(3), s.tell()); s = io.StringIO("a\r\nb\n"); print(list(s)); s = io.StringIO(); print("x", 1, sep="-", end="!\n", file=s); s.write("yy"); print(repr(s.getvalue()), s.truncate(2), repr(s.getvalue()))
w = io.TextIOWrapper(io.BytesIO("é\r\nb\rc".encode("latin-1")), encoding="latin-1"); print(w.readlines(), w.encoding, w.newlines)
w = io.TextIOWrapper(bb := io.BytesIO(), encoding="utf-8", newline="\r\n"); w.write("a\nb"); w.flush(); print(bb.getvalue()); w = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfid\n"), encoding="utf-8-sig"); print(w.read())
r = io.BufferedReader(io.BytesIO(b"0123456789"), 4); print(r.peek(2)[:2], r.read(3), r.read1(2), r.seek(-2, 2), r.read())
for f in (lambda: open("/etc/hostname_nope"), lambda: open("nope.txt"), lambda: Path("nope.csv").read_text()):
    try: f()
    except OSError as e: print("OSError subclass", isinstance(e, FileNotFoundError))
