open("/data/../etc/passwd")
