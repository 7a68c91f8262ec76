"""Uses Python's standard library, SQLite (compiled), TLS, locale, time zones and the payload; prints one line of JSON."""
import ctypes
import datetime
import json
import locale
import os
import platform
import sqlite3
import ssl
import urllib.request
import zoneinfo

locale.setlocale(locale.LC_ALL, "")
with open(os.environ["PAYLOAD_FILE"]) as file:
    text, numbers = file.read().splitlines()
numbers = sorted(int(number) for number in numbers.split())
url = os.environ["TEST_URL"]


def fetch(context):
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        return answer.read().decode()


def is_refused():
    try:
        fetch(ssl.create_default_context())
    except OSError as error:
        return isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)
    return False


noon = datetime.datetime(2024, 7, 1, 12, tzinfo=datetime.timezone.utc)
print(json.dumps({
    "version": platform.python_version(),
    "text": text,
    "length": len(text),
    "sorted": numbers,
    "sum": sqlite3.connect(":memory:").execute("select " + " + ".join(map(str, numbers))).fetchone()[0],
    "native": ctypes.CDLL(None).abs(-42),
    "tls": fetch(ssl.create_default_context(cafile=os.environ["TEST_CA"])),
    "refused": is_refused(),
    "time": noon.astimezone(zoneinfo.ZoneInfo("America/New_York")).strftime("%Y-%m-%d %H:%M"),
}))
