import random, struct, base64, binascii, zlib, hashlib
r = random.Random(31)
def t(f, *a):
    try: return f(*a)
    except Exception as e: return type(e).__name__
for _ in range(400):
    b = bytes(r.choice(b"ab \x00\xff.AZ\n") for _ in range(r.randint(0, 10))); u = bytes(r.choice(b"ab ") for _ in range(r.randint(0, 2)))
    ba = bytearray(b)
    print(b, b.find(u), b.count(u), b.replace(u, b"XY"), t(b.split, u), b.split(), t(b.partition, u), b.strip(), b.strip(u), b.upper(), b.title(), b.center(8, b"*"), b.zfill(6), b.hex(), b.hex("-", 2), b[::-1], b[1:4], t(lambda: b[2]), list(b)[:3], b.startswith(u), b.isalpha(), b.isspace(), b.splitlines(), b.translate(None, b"a"), b.expandtabs(), ba, b + ba, b * 2, b < u, t(b.decode), b.decode("latin-1"), int.from_bytes(b, "big"), base64.b64encode(b), base64.b32encode(b), base64.b85encode(b), base64.a85encode(b), base64.urlsafe_b64encode(b), binascii.crc32(b), zlib.adler32(b), hashlib.sha256(b).hexdigest()[:8], binascii.hexlify(b), t(base64.b64decode, b), t(bytes.fromhex, b.hex()))
for fmt in ("<bBhHiIqQ", ">bBhHiIqQ", "!iI", "=hh", "@bh"):
    for _ in range(20):
        vs = []
        for ch in fmt[1:]:
            n = struct.calcsize("=" + ch) * 8
            vs.append(r.randrange(-(1 << n - 1), 1 << n - 1) if ch.islower() else r.randrange(1 << n))
        p = struct.pack(fmt, *vs); print(fmt, p, struct.unpack(fmt, p) == tuple(vs))
print(struct.pack("<3sx?fd5p", b"abcd", True, 1.5, -2.25, b"hey"), struct.calcsize("<3sx?fd5p"), struct.unpack("<e", struct.pack("<e", 1.1)), list(struct.iter_unpack("<H", b"\x01\x00\x02\x00")), t(struct.pack, "b", 200), t(struct.unpack, "i", b"abc"))
ba = bytearray(b"hello"); ba[1:3] = b"EY!"; ba.append(33); ba.extend(b"??"); del ba[0]; ba.insert(0, 72); ba.reverse(); print(ba, ba.pop(), ba.index(b"o"), bytes(memoryview(ba)[1:4]), memoryview(b"abcd").cast("H").tolist(), memoryview(ba).nbytes)
for alg in ("md5", "sha1", "sha224", "sha384", "sha512", "sha3_256", "blake2b", "blake2s", "shake_128"):
    h = hashlib.new(alg); h.update(b"abc"); print(alg, h.hexdigest(16) if alg.startswith("shake") else h.hexdigest(), h.block_size)
import hmac; print(hmac.new(b"k", b"m", "sha256").hexdigest(), hmac.compare_digest("a", "a"), hashlib.pbkdf2_hmac("sha256", b"pw", b"salt", 1000).hex(), t(lambda: hashlib.scrypt(b"pw", salt=b"s", n=16, r=1, p=1).hex()))
