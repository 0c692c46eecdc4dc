//! Pieces of programs, of each kind.

use indoc::indoc;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A kind of piece, and what makes one.
type Kind = (&'static str, fn(&mut StdRng) -> String);

/// A piece: its kind, and the body of a function that returns a value.
pub(crate) fn piece(rng: &mut StdRng) -> (&'static str, String) {
    const KINDS: [Kind; 12] = [
        ("numbers", numbers),
        ("hot", hot),
        ("format", format_spec),
        ("percent", percent),
        ("slices", slices),
        ("strings", strings),
        ("containers", containers),
        ("classes", classes),
        ("generators", generators),
        ("exceptions", exceptions),
        ("scopes", scopes),
        ("control", control),
    ];
    let (kind, make) = KINDS.choose(rng).unwrap();
    (kind, make(rng))
}

fn pick<'t>(rng: &mut StdRng, from: &[&'t str]) -> &'t str {
    from.choose(rng).unwrap()
}

const INTS: &[&str] = &[
    "0", "1", "-1", "2", "3", "7", "-7", "10", "64", "100", "255", "-256", "1000003", "2**31",
    "2**31-1", "-2**31", "2**32", "2**53", "2**53+1", "2**62", "2**63", "-2**63", "2**63-1",
    "2**64+1", "10**18+7", "10**25", "-10**30", "True", "False",
];

const FLOATS: &[&str] = &[
    "0.0",
    "-0.0",
    "0.5",
    "1.0",
    "-1.5",
    "2.5",
    "2.675",
    "0.1",
    "1e16",
    "1e17",
    "123456789.125",
    "1e-7",
    "5e-324",
    "1.7976931348623157e308",
    "-1e308",
    "float('inf')",
    "float('-inf')",
    "float('nan')",
    "3.141592653589793",
    "1e22",
    "9007199254740993.0",
    "0.30000000000000004",
];

const TEXTS: &[&str] = &[
    "''",
    "'a'",
    "'abc'",
    "'Hello World'",
    "'  spaced  '",
    "'äöü'",
    "'ß'",
    "'€uro'",
    "'😀x'",
    "'tab\\tnew\\nline'",
    "'a,b,,c'",
    "'ABC'",
    "'123'",
    "'١٢٣'",
    "'ǆ'",
    "'İ'",
    "'x' * 50",
    "'ab' * 3",
    "'\\x00z'",
    "'one two  three'",
    "'é' * 7",
    "'\\u1e9e'",
    "'ﬁ'",
    "'a\\r\\nb\\rc\\x0bd'",
];

fn number(rng: &mut StdRng) -> String {
    match rng.random_range(0..10) {
        0..5 => pick(rng, INTS).to_owned(),
        5..9 => pick(rng, FLOATS).to_owned(),
        _ => format!("{}", rng.random_range(-100_000_000_i64..100_000_000)),
    }
}

fn numbers(rng: &mut StdRng) -> String {
    let operator = pick(
        rng,
        &[
            "+", "-", "*", "/", "//", "%", "**", "<<", ">>", "&", "|", "^", "<", "<=", "==", "!=",
            ">",
        ],
    );
    let (a, b) = (number(rng), number(rng));
    let b = match operator {
        "**" => pick(
            rng,
            &[
                "0", "1", "2", "-1", "-2", "0.5", "3", "-0.0", "5", "True", "10",
            ],
        )
        .to_owned(),
        "<<" | ">>" => pick(rng, &["0", "1", "5", "63", "64", "100", "-1", "True"]).to_owned(),
        _ => b,
    };
    match rng.random_range(0..7) {
        // Folded by the compiler, and not.
        0..3 => format!("a, b = {a}, {b}\nreturn ({a}) {operator} ({b}), a {operator} b"),
        3 => {
            let operator = pick(rng, &["+", "-", "*", "//", "%", "|", "&"]);
            format!("a = {a}\na {operator}= {b}\nreturn a")
        }
        4 => format!(
            "a, b = {a}, {b}\nreturn divmod(a, b), -a, +b, abs(a), round(a, {}), int(a), float(b), hash(a) == \
             hash(float(a))",
            rng.random_range(-3..5)
        ),
        5 => {
            let call = pick(
                rng,
                &[
                    "int(A)",
                    "float(A)",
                    "bool(A)",
                    "repr(A)",
                    "str(A)",
                    "bin(int(A))",
                    "hex(int(A))",
                    "(A).as_integer_ratio()",
                    "int(A).bit_length()",
                    "int(A).bit_count()",
                    "round(A)",
                    "float(A).hex()",
                    "complex(A)",
                    "abs(A)",
                    "pow(int(A), 3, 1000003)",
                    "int(A).to_bytes(16, 'big', signed=True)",
                ],
            );
            format!("return {}", call.replace('A', &a))
        }
        _ => {
            let (c, other) = (number(rng), pick(rng, &["+", "-", "*", "//", "%"]));
            format!(
                "a, b, c = {a}, {b}, {c}\nreturn (a {other} c) {operator} b, (({a}) {other} ({c})) {operator} ({b})"
            )
        }
    }
}

/// A site that sees one pair of types many times, and then others.
fn hot(rng: &mut StdRng) -> String {
    const VALUES: &[&str] = &[
        "1", "2**70", "1.5", "'a'", "'é'", "[1]", "(1,)", "True", "None", "b'x'", "{1: 2}", "{1}",
        "-0.0", "range(3)", "C(3)", "D(4)", "S('t')", "I(5)",
    ];
    let operation = pick(
        rng,
        &[
            "a + b",
            "a - b",
            "a * b",
            "a == b",
            "a < b",
            "a[b]",
            "b in a",
            "a[b:]",
            "not a",
            "len(a)",
            "a.x",
            "a.f(b)",
            "[*a]",
            "str(a)",
            "a / b",
            "a % b",
            "a // b",
            "a & b",
            "-a",
            "a if a else b",
            "a and b",
            "max(a, b)",
            "isinstance(a, int)",
            "(a, b) == (b, a)",
            "f'{a}{b}'",
            "{a: b}",
            "hash(a) == hash(a)",
        ],
    );
    let operation = match rng.random_range(0..4) {
        0 => format!("a {} b; return a", pick(rng, &["+=", "-=", "|=", "%="])),
        _ => format!("return {operation}"),
    };
    let calls: Vec<String> = (0..3)
        .map(|_| format!("({}, {})", pick(rng, VALUES), pick(rng, VALUES)))
        .collect();
    format!(
        "class C:\n    def __init__(self, n): self.x = n\n    \
         def f(self, o): return ('f', self.x, type(o).__name__)\n    \
         def __add__(self, o): return ('add', self.x)\n    def __radd__(self, o): return ('radd', self.x)\n    \
         def __iadd__(self, o): return ('iadd', self.x)\n    \
         def __eq__(self, o): return type(o) is type(self) and self.x == o.x\n    \
         def __lt__(self, o): return self.x < getattr(o, 'x', 3)\n    def __hash__(self): return self.x\n    \
         def __repr__(self): return f'{{type(self).__name__}}({{self.x}})'\nclass D(C):\n    \
         def __getattr__(self, n): return n\n    def __getitem__(self, k): return ('item', k) if k != 4 else \
         [][0]\n    def __len__(self): return self.x\n    def __bool__(self): return False\nclass S(str):\n    \
         def __add__(self, o): return 'S+'\nclass I(int):\n    def __add__(self, o): return 'I+'\n    \
         x = property(lambda self: 'property')\ndef site(a, b):\n    {operation}\nout = []\n\
         for a, b in [{}]:\n    for _ in range({}):\n        \
         try: r = repr(site(a, b))\n        except Exception as e: r = type(e).__name__.replace('KeyError', \
         'TypeError')\n        if not out or out[-1] != r: out.append(r)\nreturn out",
        calls.join(", "),
        rng.random_range(1..60)
    )
}

fn format_spec(rng: &mut StdRng) -> String {
    let is_text = rng.random_bool(0.2);
    let value = if is_text {
        pick(rng, TEXTS).to_owned()
    } else {
        number(rng)
    };
    let fill = pick(rng, &["", "<", ">", "^", "*<", "0>", "é^", "=", "x="]);
    let sign = pick(rng, &["", "", "+", "-", " ", "z"]);
    let other = pick(rng, &["", "", "#", "0", "#0"]);
    let width = pick(rng, &["", "", "5", "12", "30", "1"]);
    let group = pick(rng, &["", "", "", ",", "_"]);
    let precision = pick(rng, &["", "", ".0", ".1", ".2", ".3", ".6", ".17", ".25"]);
    let kind = pick(
        rng,
        &[
            "", "d", "x", "X", "o", "b", "c", "e", "E", "f", "F", "g", "G", "%", "n", "s",
        ],
    );
    format!(
        "a = {value}\nspec = '{fill}{sign}{other}{width}{group}{precision}{kind}'\n\
         return format(a, spec), f'{{a:{fill}{sign}{other}{width}{group}{precision}{kind}}}', \
         '[{{:{fill}{width}{kind}}}]'.format(a)"
    )
}

fn percent(rng: &mut StdRng) -> String {
    let value = match rng.random_range(0..4) {
        0 => pick(rng, TEXTS).to_owned(),
        _ => number(rng),
    };
    let flags = pick(rng, &["", "-", "+", " ", "#", "0", "-0", "+0", "# "]);
    let width = pick(rng, &["", "8", "20"]);
    let precision = pick(rng, &["", ".0", ".2", ".10", "."]);
    let kind = pick(
        rng,
        &[
            "d", "i", "u", "x", "X", "o", "e", "E", "f", "F", "g", "G", "c", "s", "r", "a", "%",
        ],
    );
    let bytes = rng.random_bool(0.15);
    let prefix = if bytes { "b" } else { "" };
    format!("return {prefix}'[%{flags}{width}{precision}{kind}]' % ({value},)")
}

fn index(rng: &mut StdRng) -> String {
    match rng.random_range(0..5) {
        0 => String::new(),
        1 => pick(
            rng,
            &[
                "10**10", "-10**10", "2**63", "None", "True", "-2**31", "2**31",
            ],
        )
        .to_owned(),
        _ => rng.random_range(-8..9).to_string(),
    }
}

fn slices(rng: &mut StdRng) -> String {
    let sequence = pick(
        rng,
        &[
            "[0, 1, 2, 3, 4, 5]",
            "(0, 1, 2, 3, 4)",
            "'abcdef'",
            "'äb€d😀f'",
            "b'abcdef'",
            "bytearray(b'abcdef')",
            "range(10)",
            "range(10, -5, -3)",
            "[]",
            "''",
            "list(range(20))",
            "memoryview(b'abcdef')",
            "array.array('i', [1, 2, 3, 4])",
            "range(2**70, 2**70 + 9)",
        ],
    );
    let step = if rng.random_bool(0.5) {
        format!(":{}", index(rng))
    } else {
        String::new()
    };
    let slice = format!("{}:{}{step}", index(rng), index(rng));
    let import = "import array\n";
    match rng.random_range(0..5) {
        0..2 => format!(
            "{import}s = {sequence}\nr = s[{slice}]\nreturn type(r).__name__, list(r), len(r)"
        ),
        2 => {
            let slice = slice.replace("10**10", "3");
            format!(
                "a = list(range(8))\na[{slice}] = {}\nreturn a",
                pick(
                    rng,
                    &["[9, 9]", "[]", "'xyz'", "range(3)", "a", "(1,)", "[7] * 8"]
                )
            )
        }
        3 => format!(
            "a = bytearray(range(8)) if {} else list(range(8))\ndel a[{slice}]\nreturn list(a)",
            pick(rng, &["True", "False"])
        ),
        _ => format!(
            "return {}[{}], {}[{slice}]",
            pick(rng, &["'abcdef'", "(1, 2, 3, 4)", "b'abcd'", "'é€😀'"]),
            rng.random_range(-5..6),
            pick(rng, &["'abcdef'", "(1, 2, 3, 4)", "b'abcd'", "'é€😀xyz'"])
        ),
    }
}

fn strings(rng: &mut StdRng) -> String {
    let (a, b, c) = (pick(rng, TEXTS), pick(rng, TEXTS), pick(rng, TEXTS));
    let n = rng.random_range(-3..12);
    let call = pick(
        rng,
        &[
            "s.split()",
            "s.split(T)",
            "s.split(None, N)",
            "s.split(T, N)",
            "s.rsplit(T, N)",
            "s.replace(T, U)",
            "s.replace(T, U, N)",
            "s.find(T)",
            "s.rfind(T, N)",
            "s.index(T)",
            "s.count(T)",
            "s.center(N)",
            "s.center(20, '*')",
            "s.ljust(N, '-')",
            "s.zfill(N)",
            "s.strip()",
            "s.strip(T)",
            "s.lstrip('a ')",
            "s.partition(T)",
            "s.rpartition(T)",
            "s.title()",
            "s.capitalize()",
            "s.swapcase()",
            "s.upper()",
            "s.lower()",
            "s.casefold()",
            "s.expandtabs(N)",
            "s.splitlines()",
            "s.splitlines(True)",
            "s.encode()",
            "s.encode('latin-1', 'replace')",
            "s.encode('utf-16')",
            "s.encode('ascii', 'backslashreplace')",
            "s.encode('ascii', 'xmlcharrefreplace')",
            "ascii(s)",
            "repr(s)",
            "s.isidentifier(), s.isalpha(), s.isdigit(), s.isdecimal(), s.isnumeric(), s.isalnum(), \
             s.isspace(), s.istitle(), s.islower(), s.isupper(), s.isprintable()",
            "s.join(['x', T, U])",
            "T.join(list(s))",
            "s * N",
            "s + T",
            "s < T, s == T, s >= U",
            "T in s",
            "s.startswith(T), s.endswith(T, N)",
            "s.startswith((T, U))",
            "s.removeprefix(T), s.removesuffix(U)",
            "s.translate(str.maketrans('abc', 'xyz', 'l'))",
            "s.translate({97: 'AA', 98: None, 228: 65})",
            "[ord(c) for c in s]",
            "s[::-1]",
            "s.maketrans({'a': 'b'})",
            "sorted(s)",
            "max(s, default=None)",
            "s.encode().decode('utf-8', 'ignore')",
            "int(s)",
            "float(s)",
            "list(reversed(s))",
            "hash(s) == hash(''.join(list(s)))",
            "'%s|%10s|%-10s|%.2s' % (s, s, s, s)",
            "f'{s!r:>{20}}', f'{s:^15}'",
            "s.encode('utf-8').hex(' ')",
            "s.encode().split(T.encode())",
            "s.encode().replace(T.encode(), b'-')",
            "s.encode().find(T.encode())",
            "s.encode().title(), s.encode().swapcase()",
            "bytes(s, 'utf-8').center(N)",
            "s.format(1, a=2)",
            "s.__mod__(())",
        ],
    );
    format!("s, T, U, N = {a}, {b}, {c}, {n}\nreturn {call}")
}

fn containers(rng: &mut StdRng) -> String {
    let items: Vec<String> = (0..rng.random_range(0..8))
        .map(|_| {
            pick(
                rng,
                &[
                    "1", "2", "3", "1.0", "True", "0", "'a'", "'b'", "None", "(1, 2)", "-1", "2.5",
                    "'é'", "b'a'",
                ],
            )
            .to_owned()
        })
        .collect();
    let numbers: Vec<String> = (0..rng.random_range(0..9))
        .map(|_| rng.random_range(-5..6).to_string())
        .collect();
    let (items, numbers) = (items.join(", "), numbers.join(", "));
    let n = rng.random_range(-4..6);
    match rng.random_range(0..6) {
        0 => {
            let mut text = format!("d = dict.fromkeys([{items}], 0)\n");
            for _ in 0..rng.random_range(1..7) {
                text += pick(
                    rng,
                    &[
                        "d[1] = 'one'\n",
                        "d.pop(1, None)\n",
                        "d.setdefault('k', []).append(1)\n",
                        "d.update({True: 'T', 'z': 1})\n",
                        "d |= {2: 3}\n",
                        "d.pop('z', None); d['z'] = 2\n",
                        "d = {v: k for k, v in d.items() if not isinstance(v, list)}\n",
                        "d.popitem() if d else None\n",
                        "d = dict(list(d.items())[::2])\n",
                        "d = dict(reversed(d.items()))\n",
                    ],
                );
            }
            text + "return d, list(d), len(d), 1 in d, d == dict(d.items()), d.keys() & {'k', 'z'} == {'k', \
                    'z'} & d.keys(), sorted(map(repr, d.values()))"
        }
        1 => format!(
            "a, b = {{{items}}} if [{items}] else set(), set([{numbers}])\n\
             return sorted(map(repr, a | b)), sorted(map(repr, a & b)), sorted(map(repr, a ^ b)), \
             sorted(map(repr, a - b)), a <= b, a == b, len(a), a.isdisjoint(b), frozenset(b) == b"
        ),
        2 => format!(
            "a = [{numbers}]\na.{}\nreturn a, sorted(a), sorted(a, key=lambda v: (-abs(v), v)), sorted(a, \
             reverse=True), a.index({n}) if {n} in a else None, a.count({n})",
            pick(
                rng,
                &[
                    "append(1)",
                    "insert(2, 9)",
                    "insert(-1, 8)",
                    "extend('ab') if False else None",
                    "sort()",
                    "reverse()",
                    "sort(key=abs)",
                    "sort(key=lambda v: v % 3, reverse=True)",
                    "pop() if a else 0",
                    "pop(0) if a else 0",
                    "clear()",
                    "copy()"
                ]
            )
            .replace("extend('ab') if False else None", "extend([5, 4])")
        ),
        3 => format!(
            "import collections, heapq, bisect, itertools\na = [{numbers}]\nc = collections.Counter(a)\n\
             h = a[:]\nheapq.heapify(h)\nq = collections.deque(a, maxlen=4)\nq.rotate({n})\nq.appendleft(0)\n\
             return c, c.most_common(2), [heapq.heappop(h) for _ in a], q, bisect.bisect(sorted(a), {n}), \
             list(itertools.accumulate(a)), [list(g) for _, g in itertools.groupby(a, abs)], \
             list(itertools.pairwise(a)), list(itertools.islice(a, 1, None, 2))"
        ),
        4 => format!(
            "a = [{numbers}]\nreturn [x * y for x in a for y in a if x < y][:20], {{x: [y for y in a if y > x] \
             for x in a}}, sorted({{x % 3 for x in a}}), list(zip(a, a[1:])), list(map(lambda x, y: x - y, a, \
             a[::-1])), list(filter(None, a)), list(enumerate(a, {n})), any(a), all(a), sum(a), min(a, \
             default=None), max(a, key=abs, default=None)"
        ),
        _ => format!(
            "a = ([{items}],)\nb = (*a[0], {n}, *a[0][:1])\nx, *y = [*b, 0]\n*y2, z = (0, *b)\n\
             return b, x, y, y2, z, b[::2], b + (1,), b * 2, b == tuple(list(b)), repr(a), [*map(type, b)] == \
             [type(i) for i in b], (b < b[1:]) if all(isinstance(i, (int, float)) for i in b) else None"
        ),
    }
}

fn classes(rng: &mut StdRng) -> String {
    let mut text = String::from(indoc! {r#"
            log = []
            class Base:
                kind = 'base'
                def __init__(self, *a): self.a = a
                def who(self): return 'Base'
                def __repr__(self): return f'<{type(self).__name__} {self.__dict__.get("a")}>'
        "#});
    let names = ["A", "B", "C", "D"];
    for (i, name) in names.iter().enumerate() {
        let mut bases: Vec<&str> = names[..i]
            .iter()
            .copied()
            .filter(|_| rng.random_bool(0.5))
            .collect();
        bases.reverse();
        if bases.is_empty() {
            bases.push("Base");
        }
        text += &format!("class {name}({}):\n", bases.join(", "));
        for _ in 0..rng.random_range(1..4) {
            text += &format!(
                "    {}\n",
                pick(
                    rng,
                    &[
                        "def who(self): return type(self).__name__ + super().who()",
                        "kind = 'own'",
                        "@property\n    def p(self): return ('p', self.a)",
                        "@classmethod\n    def make(cls, *a): return cls(*a)",
                        "@staticmethod\n    def st(x): return x * 2",
                        "def __getattr__(self, n): return ('missing', n)",
                        "def __eq__(self, o): return type(self) is type(o)",
                        "def __init__(self, *a):\n        super().__init__(*a, len(a))",
                        "def __call__(self, *a, **k): return a, k",
                        "def __len__(self): return len(self.a)",
                        "def __iter__(self): return iter(self.a)",
                        "def __contains__(self, x): return x == 7",
                        "def __setattr__(self, n, v): object.__setattr__(self, n, (n, v))",
                        "def __enter__(self): log.append('in'); return self\n    \
                         def __exit__(self, *e): log.append(e[0] and e[0].__name__); return True",
                        "x: int = 5",
                        "def __class_getitem__(cls, i): return (cls.__name__, i)",
                        "def __init_subclass__(cls, **k): log.append(cls.__name__); super().__init_subclass__(**k)",
                        "def __add__(self, o): return ('add', type(o).__name__)",
                        "def __radd__(self, o): return ('radd', type(o).__name__)",
                        "def __lt__(self, o): return NotImplemented",
                        "def __bool__(self): return False",
                        "def __index__(self): return 2",
                        "s = 1",
                        indoc! {"
                            def __getitem__(self, i):
                                    if i > 2: raise IndexError
                                    return i"},
                        "def __del__(self): pass",
                        "def __format__(self, spec): return 'fmt' + spec",
                        "def __hash__(self): return 3",
                        "y = [1]\n    z = [v + 1 for v in y]"
                    ]
                )
            );
        }
    }
    text += &format!(
        "o, other = {}(1, 2), {}('x')\nout = []\n",
        pick(rng, &names),
        pick(rng, &names)
    );
    for _ in 0..8 {
        text += &format!(
            "try: out.append(repr({}))\nexcept Exception as e: out.append(type(e).__name__)\n",
            pick(
                rng,
                &[
                    "o.who()",
                    "o.kind, type(o).kind",
                    "o.p",
                    "type(o).make(3)",
                    "o.st(2)",
                    "o.nope",
                    "o == other, o != other",
                    "o(1, k=2)",
                    "len(o)",
                    "list(o)",
                    "7 in o, 1 in o",
                    "o + 1",
                    "1 + o",
                    "o + other",
                    "o < other",
                    "bool(o)",
                    "[10, 20, 30][o]",
                    "o[1]",
                    "f'{o:>5}'",
                    "hash(o) == hash(o)",
                    "o.a",
                    "[c.__name__ for c in type(o).__mro__]",
                    "isinstance(o, A), issubclass(D, B)",
                    "setattr(o, 'new', 1) or o.new",
                    "o.x",
                    "type(o)[5]",
                    "o.z, type(o).y",
                    "super(A, o).who() if isinstance(o, A) else None",
                    "sorted(n for n in vars(type(o)) if not n.startswith('__'))",
                    "D.__mro__.index(Base)",
                    "vars(o)",
                    "getattr(o, 'kind', 'd'), hasattr(o, 'q')",
                    "o.__class__.__name__"
                ]
            )
        );
    }
    text += indoc! {"
        try:
            with o as w: raise KeyError('k')
        except Exception as e: out.append(type(e).__name__)
        return out, log"};
    text
}

fn generators(rng: &mut StdRng) -> String {
    let body = pick(
        rng,
        &[
            indoc! {"
                for i in range(n):
                        got = yield i
                        if got: log.append(got)"},
            indoc! {"
                try:
                        while len(log) < 6: log.append((yield len(log)))
                    except ValueError: yield 'caught'
                    finally: log.append('end')"},
            "yield from range(n)\n    return 'done'",
            "r = yield from inner(n)\n    yield ('inner gave', r)",
            indoc! {"
                for i in range(n):
                        try: yield i
                        except KeyError as e: yield ('key', i)
                        else: log.append(('else', i))"},
            "yield from (x * y for x in range(n) for y in range(x))",
            "x = yield\n    for _ in range(9): x = yield (x or 1) * 2",
            "yield 1\n    raise RuntimeError('inside')",
            "yield from [a := n, a + 1, *(b for b in range(a))]",
        ],
    );
    let mut text = format!(
        "log, out = [], []\ndef inner(n):\n    try:\n        got = yield 'in'\n        log.append(got)\n    \
         except ValueError: log.append('inner value')\n    return n\ndef g(n):\n    {body}\nit = g({})\n",
        rng.random_range(0..5)
    );
    for _ in 0..rng.random_range(1..8) {
        text += &format!(
            "try: out.append({})\nexcept BaseException as e: out.append((type(e).__name__, e.args if type(e) in \
             (StopIteration, KeyError) else None))\n",
            pick(
                rng,
                &[
                    "next(it)",
                    "next(it)",
                    "next(it, 'default')",
                    "it.send(None)",
                    "it.send(5)",
                    "it.throw(ValueError)",
                    "it.throw(KeyError('k'))",
                    "it.close()",
                    "list(it)",
                    "sum(x for x in it if isinstance(x, int))",
                    "it.gi_frame is None",
                    "[*it]",
                    "next(iter(it))",
                    "tuple(zip(it, 'ab'))",
                    "max(it, key=str)",
                    "it.gi_running"
                ]
            )
        );
    }
    text + "return out, log"
}

fn exceptions(rng: &mut StdRng) -> String {
    let raising = |rng: &mut StdRng| {
        pick(
            rng,
            &[
                "raise ValueError('v')",
                "raise KeyError('k') from None",
                "1 / 0",
                "[][1]",
                "{}['x']",
                "int('x')",
                "return 'early'",
                "pass",
                "log.append('body')",
                "raise TypeError('t') from OSError('o')",
                "raise StopIteration",
                "nope",
                "continue",
                "break",
                "assert i == 0, 'no'",
                "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
                "None.x",
                "raise",
            ],
        )
        .to_owned()
    };
    let mut text = String::from(indoc! {"
            log = []
            def f():
                for i in range(3):
                    try:
                        try:
        "});
    text += &format!("                {}\n", raising(rng));
    match rng.random_range(0..4) {
        0 => {
            text += &format!(
                "            except {} as e:\n                \
                 log.append((type(e).__name__, repr(e.__cause__), e.__suppress_context__))\n                {}\n",
                pick(
                    rng,
                    &[
                        "ValueError",
                        "(KeyError, ZeroDivisionError)",
                        "Exception",
                        "LookupError"
                    ]
                ),
                raising(rng)
            )
        }
        1 => text += "            finally:\n                log.append('finally')\n",
        2 => {
            text += &format!(
                "            except LookupError: {}\n            else: log.append('else')\n            \
                 finally: log.append(('f', i))\n",
                raising(rng)
            )
        }
        _ => {
            text += "            except* ValueError as g:\n                \
                     log.append([type(e).__name__ for e in g.exceptions])\n            \
                     except* (TypeError, ArithmeticError) as g: log.append('star')\n"
        }
    }
    text += &format!(
        "        except {} as e:\n            log.append((type(e).__name__, [str(a) for a in e.args], \
         type(e.__context__).__name__))\n            {}\n",
        pick(
            rng,
            &["Exception", "(ValueError, TypeError)", "ArithmeticError"]
        ),
        pick(rng, &["pass", "continue", "break", "return i", "raise"])
    );
    text += &format!(
        "        finally:\n            log.append('out')\n            {}\n    else: log.append('no break')\n    \
         return 'end'\n",
        pick(
            rng,
            &["pass", "pass", "if i > 1: log.append('late')", "i += 1"]
        )
    );
    // `except*` takes no return, break or continue, which the compilers say at different places.
    if text.contains("except*") {
        text = text
            .replace("return 'early'", "pass")
            .replace("continue", "pass")
            .replace("break", "pass");
    }
    text += indoc! {"
        try: r = f()
        except Exception as e: r = (type(e).__name__, type(e.__context__).__name__, type(e.__cause__).__name__)
        return r, log"};
    text.replace("log.append('no pass')", "log.append('no break')")
}

fn scopes(rng: &mut StdRng) -> String {
    let expression = |rng: &mut StdRng| {
        pick(
            rng,
            &[
                "(lambda y: y + x)(1)",
                "(lambda x: x)(9)",
                "[x for x in a]",
                "sum(x * b for x in a)",
                "max(a, key=lambda v: v * b)",
                "{v: w for v, w in zip(a, a)}",
                "(y := b) + y",
                "[(lambda: i)() for i in a]",
                "(lambda *args, k=b: (args, k))(1, *a)",
                "[f() for f in [lambda i=i: i for i in a]]",
                "[f() for f in [lambda: i for i in a]]",
                "b if b else (lambda: a)()",
                "sorted({*(v for v in a)})",
                "sorted(a, key=lambda v: -v)",
                "next((v for v in a if v > b), None)",
                "len([1 for _ in a if (lambda q: q)(_)])",
                "f'{(lambda: b)()}{[v for v in a]}'",
                "x",
                "b",
            ],
        )
        .to_owned()
    };
    let [p, q, r, s] = std::array::from_fn(|_| expression(rng));
    match rng.random_range(0..5) {
        0 => format!(
            "def f(a, b, x=2): return {{1: {p}, 'k': {q}, **{{3: {r}}}, 'z': {s}}}\nreturn f([1, 2, 3], 2)"
        ),
        1 => format!(
            "def f(a, b, x=5):\n    def g(*p, q=({p}), **r): return p, q, r\n    return g({q}, *[{r}], k={s})\n\
             return f([3, 1], 1)"
        ),
        2 => format!(
            "def f(a, b, x=0):\n    class K:\n        v = {p}\n        w = [v for _ in a]\n        \
             def m(self, d=({q})): return d, x, b\n    return K.v, K().m(), {r}, {s}\nreturn f([1, 2], 3)"
        ),
        3 => format!(
            "def f(a, b, x=1):\n    n = 0\n    def up():\n        nonlocal n, x\n        n += 1\n        \
             x = n * 10\n        return {p}\n    return [up(), up()], n, x, ({q}, {r}), [{s} for z in a if z]\n\
             return f([2, 3], 4)"
        ),
        _ => format!(
            "def f(a, b, x=7):\n    @(lambda g: (lambda *c: (g(*c), {p})))\n    def h(c={q}): return c, x\n    \
             t = ({r}) if ({s}) else None\n    del b\n    try: b\n    \
             except UnboundLocalError: t = (t, 'unbound')\n    return h(), t\nreturn f([1], 2)"
        ),
    }
}

fn control(rng: &mut StdRng) -> String {
    let subject = pick(
        rng,
        &[
            "1",
            "2.0",
            "'text'",
            "[1, 2, 3]",
            "(1, (2, 3))",
            "{'k': 1, 'z': [2]}",
            "None",
            "True",
            "[]",
            "P(1, 2)",
            "[P(0, 1), P(2, 3)]",
            "b'x'",
            "{'k': {'n': None}}",
            "-3",
            "range(3)",
            "1+2j",
        ],
    );
    let cases: Vec<String> = (0..4).map(|_| {
        let pattern = pick(rng, &["1 | 2", "str() as s", "[x, *rest]", "(a, (b, c))", "{'k': v, **others}", "None", "True", "[]", "P(x=0, y=y)", "P(x, y) if x < y", "[P() as p, *_]", "float() | int()", "{'k': {'n': n}}", "-3", "bytes(b)", "[1, _, z]", "object(real=r)", "{}", "1+2j", "(int() | str()) as q"]);
        format!("        case {pattern}: return {:?}, sorted((k, repr(v)) for k, v in locals().items() if k != \
                 'P')", pattern.replace('\'', "\""))
    }).collect();
    match rng.random_range(0..3) {
        0 => format!(
            "class P:\n    __match_args__ = ('x', 'y')\n    def __init__(self, x, y): self.x, self.y = x, \
             y\n    def __repr__(self): return 'P'\ndef f(subject):\n    match subject:\n{}\n        \
             case _: return 'other'\nreturn f({subject})",
            cases.join("\n")
        ),
        1 => format!(
            "out, i = [], 0\nwhile i < {}:\n    i += {}\n    for j in range({}):\n        \
             if (i * j) % {} == 0: {}\n        if j > i: {}\n        out.append((i, j))\n    else:\n        \
             out.append('else')\n        {}\nelse: out.append('while else')\nreturn out, i",
            rng.random_range(1..9),
            rng.random_range(1..3),
            rng.random_range(0..5),
            rng.random_range(1..5),
            pick(rng, &["continue", "break", "pass", "out.append('x')"]),
            pick(rng, &["continue", "break", "pass"]),
            pick(rng, &["pass", "break", "continue"])
        ),
        _ => {
            let comparisons: Vec<String> = (0..4)
                .map(|_| {
                    format!(
                        "{} {} {}",
                        pick(rng, &["a", "b", "1", "c", "2.5"]),
                        pick(rng, &["<", "<=", "==", "!=", ">", "in", "not in"]),
                        pick(rng, &["a", "b", "[1, 2]", "(a, b)", "c", "3"])
                    )
                })
                .collect();
            format!(
                "a, b, c = {}, {}, {}\nout = []\nfor test in (lambda: {}, lambda: {} and {}, lambda: not ({} or \
                 {}), lambda: a < b < c <= 10, lambda: a if b else c, lambda: (a or b) and c, lambda: not \
                 a):\n    try: out.append(test())\n    except TypeError: out.append('TypeError')\nreturn out",
                number(rng),
                number(rng),
                pick(rng, INTS),
                comparisons[0],
                comparisons[1],
                comparisons[2],
                comparisons[3],
                comparisons[0]
            )
        }
    }
}
