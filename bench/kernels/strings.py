words = {}
for i in range(60_000):
    word = "k" + str(i % 500)
    words[word] = words.get(word, 0) + len(word)
len(",".join(sorted(words))) + sum(words.values())
