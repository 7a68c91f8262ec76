"""python3 smoke.py 3.13: checks that this is Python 3.13 and that its standard library works."""
import ctypes
import lzma
import sqlite3
import ssl
import sys
import zoneinfo

version = '.'.join(map(str, sys.version_info[:2]))
assert version == sys.argv[1], version
# By its name: of a folder of certificates, only those are counted that were used.
certificates = ssl.create_default_context(cafile='/etc/ssl/certs/ca-certificates.crt')
assert certificates.cert_store_stats()['x509_ca'] > 100
assert sqlite3.connect(':memory:').execute('select 6 * 7').fetchone() == (42,)
assert lzma.decompress(lzma.compress(b'x')) == b'x'
zoneinfo.ZoneInfo('Asia/Tokyo')
ctypes.CDLL(None).getpid()
