import csv
from jinja2 import Environment, DictLoader, select_autoescape

env = Environment(
    loader=DictLoader({
        "base.html": "<!doctype html><title>{% block title %}{% endblock %}</title>{% block body %}{% endblock %}",
        "report.html": """{% extends "base.html" %}
{% macro cell(value) %}<td>{{ value }}</td>{% endmacro %}
{% block title %}{{ title }}{% endblock %}
{% block body %}
<table>
{%- for row in rows if row.units|int > 30 %}
  <tr class="{{ loop.cycle('odd', 'even') }}">{{ cell(loop.index) }}{{ cell(row.region) }}{{ cell(row.note) }}</tr>
{%- else %}
  <tr><td>nothing</td></tr>
{%- endfor %}
</table>
{{ rows|groupby("region")|map("first")|join(", ") }}
{{ "%.2f"|format(rows|map(attribute="price")|map("float")|sum) }}
{% endblock %}"""}),
    autoescape=select_autoescape(),
    trim_blocks=True,
)
with open("sales.csv") as f:
    rows = [dict(row, note="<b>&") for row in csv.DictReader(f)]
html = env.get_template("report.html").render(title="Sales & more", rows=rows[:60])
with open("report.html", "w") as f:
    f.write(html)
print(html.count("<tr"), html[-80:])
