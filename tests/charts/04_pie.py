import matplotlib.pyplot as plt

labels = ["Python", "Rust", "Go", "Other"]
sizes = [45, 30, 15, 10]
explode = (0.1, 0, 0, 0)
fig1, ax1 = plt.subplots()
wedges, texts, autotexts = ax1.pie(sizes, explode=explode, labels=labels, autopct="%1.1f%%", shadow=True, startangle=90)
ax1.axis("equal")
plt.title("Languages")
plt.savefig("pie.png")
print(len(wedges), len(texts), len(autotexts))
fig2, ax2 = plt.subplots(figsize=(6, 6))
ax2.pie(sizes, labels=labels, wedgeprops=dict(width=0.4), autopct=lambda share: f"{share:.0f}%")
ax2.legend(title="Language", loc="center left", bbox_to_anchor=(1, 0.5))
fig2.savefig("donut.svg")
