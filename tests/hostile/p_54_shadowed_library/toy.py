# case 54: the candidate's modules do not replace those of libraries with the same name
# outcome: all = passed
# not printed: SHADOWED
import decimal
import http.client
import tempfile

from honest import fetch, weigh

assert decimal.Decimal and http.client.HTTPConnection and tempfile.mkdtemp
