# The tokens of a source, whatever it ends in.
import io, tokenize

source = "def f(x):\n    return x + 1  # ä\n\nif f(2):\n    s = 'é' + \"\"\"\n  two\"\"\"\n"
for token in tokenize.generate_tokens(io.StringIO(source).readline):
    print(tokenize.tok_name[token.type], ascii(token.string), token.start, token.end)
print(len(list(tokenize.generate_tokens(io.StringIO("x = 'ä'").readline))))
print(len(list(tokenize.tokenize(io.BytesIO(b"x = 1 + y").readline))))
many = "".join(f"name_{number} = f({number}, 'a') + 1\n" for number in range(1500))
print(len(list(tokenize.generate_tokens(io.StringIO(many).readline))))
print(tokenize.untokenize(tokenize.generate_tokens(io.StringIO(source).readline)) == source)
try:
    print(list(tokenize.generate_tokens(io.StringIO("(1,\n").readline)))
except (tokenize.TokenError, SyntaxError):
    print("error")
print(len(list(tokenize._generate_tokens_from_c_tokenizer(io.StringIO("x = 'ä'").readline))))
print(len(list(tokenize._generate_tokens_from_c_tokenizer(io.StringIO("x = 1 # ä").readline))))
