"""Literals with very many constants."""
source = "[" + ",".join(str(number * 7) for number in range(70_000)) + "]"
numbers = eval(source)
print(len(numbers), sum(numbers))
words = eval("{" + ",".join(f"'word {number}': {number}.5" for number in range(20_000)) + "}")
print(len(words), words["word 19999"], words["word 300"])
