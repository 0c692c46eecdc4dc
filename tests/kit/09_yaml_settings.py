import yaml

text = """
service: {name: shop, ports: [80, 443]}
limits: &limits
  memory: 512
  fuel: 1.5e9
staging:
  <<: *limits
  memory: 256
notes: |
  first
  second
when: 2026-02-03 04:05:06
on: yes
"""
settings = yaml.safe_load(text)
print(settings)
settings["service"]["tags"] = ["größe", "b: c", "", None, True]
with open("settings.yaml", "w", encoding="utf-8") as f:
    yaml.safe_dump(settings, f, allow_unicode=True, sort_keys=True, default_flow_style=False)
print(open("settings.yaml", encoding="utf-8").read())
try:
    yaml.safe_load("a: [1, 2")
except yaml.YAMLError as error:
    print(type(error).__name__, error.problem_mark.line)
