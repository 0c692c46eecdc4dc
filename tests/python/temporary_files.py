import tempfile, os, shutil
from pathlib import Path
with tempfile.TemporaryDirectory() as d:
    p = Path(d) / "sub"; p.mkdir(); f = p / "a.txt"; f.write_text("héllo\nworld\n", encoding="utf-8")
    print(f.read_text(encoding="utf-8"), f.stat().st_size, [x.name for x in p.iterdir()], sorted(x.name for x in Path(d).rglob("*")), f.exists())
    shutil.copy(f, p / "b.txt"); os.rename(p / "b.txt", p / "c.txt"); print(sorted(os.listdir(p)), [(len(ds), len(fs)) for _, ds, fs in os.walk(d)])
    with open(p / "data.bin", "wb") as fh: fh.write(bytes(range(5)))
    with open(p / "data.bin", "rb") as fh: fh.seek(2); print(fh.read())
    with open(p / "log.txt", "a") as fh: fh.write("1\n"); 
    with open(p / "log.txt", "a+") as fh: fh.write("2\n"); fh.seek(0); print(fh.read().split())
with tempfile.NamedTemporaryFile("w+", suffix=".csv") as t: t.write("a,b\n"); t.flush(); t.seek(0); print(t.read(), t.name.endswith(".csv"))
print(os.path.exists(d))
