import csv, io
def wr(rows, **k):
    b = io.StringIO(); w = csv.writer(b, **k)
    for r in rows: w.writerow(r)
    return b.getvalue()
rows = [["name", "note"], ["a,b", 'say "hi"'], ["multi\nline", None], ["", 3.0], [" x ", True]]
for q in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
    print(repr(wr(rows, quoting=q)))
print(repr(wr([["a,b", 'q"', "c"]], quoting=csv.QUOTE_NONE, escapechar="\\")))
print(repr(wr([["a,b", 'x"y']], quoting=csv.QUOTE_NONE, quotechar=None, escapechar="\\")))
print(repr(wr(rows, delimiter="\t", lineterminator="\n")))
print(repr(wr(rows, dialect="unix")), repr(wr(rows, dialect="excel-tab")))
print(list(csv.reader(["a, b, c", 'x, "y, z", w'], skipinitialspace=True)))
print(list(csv.reader(["1,2.5,\"x\""], quoting=csv.QUOTE_NONNUMERIC)))
print(list(csv.reader(["a;'b;c';d"], delimiter=";", quotechar="'")))
print(list(csv.reader(io.StringIO('id,text\r\n1,"line one\r\nline two"\r\n\r\n2,"a ""quoted"" word"\r\n', newline=""))))
print(list(csv.reader(["a,b,", ",,", "", "x"])))
for row in csv.DictReader(io.StringIO("a,b,c\n1,2\n3,4,5,6\n"), restkey="rest", restval="?"):
    print(row)
d = io.StringIO(); w = csv.DictWriter(d, ["x", "y"], extrasaction="ignore", restval="-"); w.writeheader(); w.writerow({"x": 1, "z": 9}); w.writerows([{"y": 2}]); print(repr(d.getvalue()))
s = csv.Sniffer(); dia = s.sniff("a|b|c\n1|2|3\n4|5|6\n"); print(dia.delimiter, s.has_header("name,age\nbob,5\namy,7\n"))
try:
    list(csv.reader(['a,"b'], strict=True))
except csv.Error as e: print("csv.Error", e)
try:
    wr([["a"]], delimiter="ab")
except TypeError as e: print("TypeError", e)
r = csv.reader(["a,b", "c,d"]); next(r); print(r.line_num, r.dialect.delimiter, r.dialect.quotechar)
print(list(csv.reader(['a,"b"c,d', 'e,f"g"h,i'])))
print(list(csv.reader(["ä–ö–ü"], delimiter="–")))
