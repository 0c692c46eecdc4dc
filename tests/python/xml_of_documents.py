# Documents with a type: entities that only its external subset would define, and what a tree builder is told.
import io
import warnings
import xml.etree.ElementTree as ET
from xml.dom import minidom
from xml.parsers import expat

XHTML = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1.dtd">\n'
for document in (
    XHTML + "<html><p>a&nbsp;b</p></html>", XHTML + "<html>\n <p>\n a &copy; &nbsp;</p></html>",
    '<!DOCTYPE a SYSTEM "y"><a x="&foo;">b</a>', '<!DOCTYPE a [<!ENTITY e "v">]><a>&e;&f;</a>', "<a>&foo;</a>",
):
    try:
        print(ET.tostring(ET.fromstring(document)))
    except ET.ParseError as error:
        print(error, error.code, error.position)

parser = ET.XMLParser()
parser.entity["nbsp"] = "\xa0"
parser.feed(XHTML + "<p>a&nbsp;b</p>")
print(ascii(parser.close().text))


class Builder(ET.TreeBuilder):
    def doctype(self, name, public, system):
        print("doctype", name, public, system)


ET.XMLParser(target=Builder()).feed(XHTML + "<html/>")


class Parser(ET.XMLParser):
    def doctype(self, *args):
        print("never")


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    Parser().feed(XHTML + "<html/>")
    print([str(warning.message) for warning in caught])

document = '<a xmlns="x" xmlns:p="q"><p:b p:c="1"/></a>'
print(list(ET.iterparse(io.StringIO(document), events=["start-ns", "end-ns"])))
root = minidom.parseString(document).documentElement
print(root.toxml(), root.firstChild.prefix, root.firstChild.localName, root.firstChild.attributes.keys())


def texts(parser, document):
    found = []
    parser.CharacterDataHandler = found.append
    parser.Parse(document, True)
    return found


for gathers in (False, True):
    parser = expat.ParserCreate()
    parser.buffer_text = gathers
    print(parser.buffer_text, texts(parser, b"<a>1<b/>&lt;2&gt;<c/>&#32;\n&#x20;3</a>"))
parser = expat.ParserCreate()
parser.buffer_text, parser.buffer_size = True, 10
print([len(text) for text in texts(parser, b"<a>" + b"x\n" * 12 + b"y" * 30 + b"</a>")])
parser = expat.ParserCreate(namespace_separator=" ")
parser.namespace_prefixes = True
parser.StartElementHandler = print
parser.Parse(document, True)
