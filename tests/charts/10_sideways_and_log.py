import io
import matplotlib.pyplot as plt

names = ["a long name of something", "b", "c"]
plt.rcParams["figure.figsize"] = (8, 4)
plt.figure()
plt.subplot(1, 2, 1)
plt.barh(names, [3, 1, 2], color="teal", height=0.6)
plt.gca().invert_yaxis()
plt.title("Ranking")
plt.subplot(1, 2, 2)
plt.plot([1, 10, 100, 1000], [1, 4, 9, 16], "g^-")
plt.xscale("log")
plt.yticks([0, 5, 10, 15], ["none", "few", "some", "many"])
plt.title("Growth")
plt.tight_layout()
buffer = io.BytesIO()
plt.savefig(buffer, format="png")
buffer.seek(0)
print(buffer.read(4))
plt.close("all")
print(plt.gcf().axes)
