n = 200_000
prime = [True] * n
for i in range(2, int(n**0.5) + 1):
    if prime[i]:
        for j in range(i * i, n, i):
            prime[j] = False
sum(prime) - 2
