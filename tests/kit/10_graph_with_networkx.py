import networkx as nx

g = nx.Graph()
g.add_weighted_edges_from([("a", "b", 4), ("a", "c", 2), ("b", "c", 1), ("b", "d", 5), ("c", "d", 8), ("d", "e", 3)])
print(nx.dijkstra_path(g, "a", "e"), nx.dijkstra_path_length(g, "a", "e"))
print(sorted(nx.minimum_spanning_tree(g).edges()))
print({n: round(c, 3) for n, c in nx.betweenness_centrality(g).items()})
d = nx.DiGraph([("shirt", "tie"), ("tie", "jacket"), ("trousers", "shoes"), ("trousers", "belt"), ("belt", "jacket")])
print(list(nx.lexicographical_topological_sort(d)), nx.is_directed_acyclic_graph(d))
print(list(nx.connected_components(nx.path_graph(4))), nx.density(g))
with open("graph.graphml", "w") as f:
    f.write("\n".join(nx.generate_graphml(g)))
