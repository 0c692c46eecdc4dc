import heapq, sys
graph = {"a": {"b": 3_000_000_000, "c": 2_500_000_000}, "b": {"d": 100}, "c": {"b": 400_000_000, "d": 9_000_000_000}, "d": {}}
dist = {n: sys.maxsize for n in graph}
dist["a"] = 0
heap = [(0, "a")]
while heap:
    d, n = heapq.heappop(heap)
    if d > dist[n]: continue
    for m, w in graph[n].items():
        if d + w < dist[m]:
            dist[m] = d + w
            heapq.heappush(heap, (d + w, m))
print(dist)
