from wardian import tools
tools.send_email(to=["ada@customers.example.com"], subject="Your order", body=tools.find_order("A-1"))
