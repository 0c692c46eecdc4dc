import xml.etree.ElementTree as ET
for bad in ("<a><b></a>", "<a", "", "plain text", "<a>&nope;</a>", "<a/><b/>", "<a><b>", "<a x=1/>", "<a x='1' x='2'/>", "<a>\x01</a>", "<a><b></c></a>", "</a>", "<a>]]></a>", "<1a/>", "<a>& b</a>", "<a><!-- -- --></a>", "<?xml version='1.0'?><?xml version='1.0'?><a/>", " <?xml version='1.0'?><a/>", "<a xmlns:x='u'><y:b/></a>", "<a>text</a>tail", "{}"):
    try:
        r = ET.fromstring(bad)
        print(repr(bad), "accepted", r if r is None else ET.tostring(r))
    except ET.ParseError as e:
        print(repr(bad), "ParseError")
    except Exception as e:
        print(repr(bad), type(e).__name__, e)
for good in ("<a>&#65;&#x42;&lt;&quot;&apos;</a>", "<?xml version='1.0' encoding='latin-1'?><a>x</a>", "<!DOCTYPE a [<!ENTITY e 'val'>]><a>&e;</a>", "<a b='x&#10;y\nz'/>", "<a>\r\nb\r</a>", "<x:a xmlns:x='u' x:k='v'/>", "<a><?pi data?>x</a>", "<a><![CDATA[<&>]]></a>", "<a xml:space='preserve'> </a>", "\ufeff<a/>", "<a>é日</a>"):
    try: r = ET.fromstring(good); print(repr(good), r.tag, r.attrib, repr(r.text), ET.tostring(r))
    except Exception as e: print(repr(good), type(e).__name__, e)
try: print(ET.fromstring("<?xml version='1.0' encoding='latin-1'?><a>é</a>".encode("latin-1")).text)
except Exception as e: print(type(e).__name__, e)
try: print(ET.fromstring("<?xml version='1.0' encoding='utf-16'?><a>é</a>".encode("utf-16")).text)
except Exception as e: print(type(e).__name__, e)
