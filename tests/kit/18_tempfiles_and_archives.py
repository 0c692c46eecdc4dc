import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile

with open("sales.csv", "rb") as f:
    data = f.read()
print(hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest())
with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "sales.csv.gz")
    with gzip.open(path, "wb") as f:
        f.write(data)
    with gzip.open(path, "rt") as f:
        print(f.readline().strip(), sum(1 for _ in f))
    shutil.copy(path, "copy.gz")
print(os.path.exists(directory), gzip.decompress(open("copy.gz", "rb").read()) == data)
os.remove("copy.gz")
buffer = io.BytesIO()
with tarfile.open(fileobj=buffer, mode="w") as tar:
    info = tarfile.TarInfo("data/sales.csv")
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
with open("sales.tar", "wb") as f:
    f.write(buffer.getvalue())
with tarfile.open("sales.tar") as tar:
    print(tar.getnames(), tar.extractfile("data/sales.csv").read() == data)
