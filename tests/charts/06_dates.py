from datetime import date, timedelta
import matplotlib.pyplot as plt

start = date(2025, 1, 1)
days = [start + timedelta(days=7 * i) for i in range(26)]
values = [100 + 3 * i + (i % 5) * 4 for i in range(26)]
low = [v - 8 for v in values]
high = [v + 8 for v in values]
fig, ax = plt.subplots(figsize=(9, 4))
(line,) = ax.plot(days, values, color="tab:purple", lw=2, label="price")
ax.fill_between(days, low, high, color="tab:purple", alpha=0.2, label="range")
ax.axhline(y=150, color="gray", linestyle=":", label="target")
ax.set_xlim(days[0], days[-1])
ax.set(title="Price", xlabel="Week", ylabel="EUR")
ax.legend(loc="upper left")
fig.autofmt_xdate()
plt.savefig("dates.svg", format="svg")
print(line.get_label())
