total = sum(int(line.split(",")[1]) for line in open("/data/orders.csv"))
with open("/results/total.txt", "w") as f:
    f.write(f"{total}\n")
print("orders:", total)
{"total": total}
