def mean(xs):
    """
    >>> mean([1, 2, 3])
    2.0
    """
    return sum(xs) / len(xs)
if __name__ == "__main__":
    import doctest
    print(doctest.testmod())
