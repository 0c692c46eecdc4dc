from html import unescape
from html.parser import HTMLParser
import xml.etree.ElementTree as ET
from xml.dom import minidom


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(dict(attrs).get("href"))

    def handle_data(self, data):
        if data.strip():
            self.text.append(data.strip())


parser = Links()
parser.feed("<p>See <a href='/a?x=1&amp;y=2'>A</a> &amp; <a href=b>B</a><br>&eacute;t&#233;</p>")
print(parser.links, parser.text, unescape("&lt;&#x1F600;&gt;"))
root = ET.fromstring("<shop xmlns:p='urn:p'><item id='1' p:kind='x'>Lamp</item><item id='2'>Desk &amp; chair</item></shop>")
print([(i.get("id"), i.attrib, i.text) for i in root.iter("item")], root.find("item[@id='2']").text)
print(minidom.parseString(ET.tostring(root)).toprettyxml(indent="  "))
