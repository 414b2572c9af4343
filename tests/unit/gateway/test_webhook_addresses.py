"""Addresses of webhooks: what is refused, and that the reason is said."""

from __future__ import annotations

import pytest

from datacanal.domain.metering_errors import WebhookRefused
from datacanal.gateway.webhook_addresses import webhook_address

NOT_HTTPS = "not https"
WHOSE = "user name or a password"
NUMBER = "not written as an address"
NOT_PUBLIC = "is not a public address"
NO_PUBLIC_NAME = "is no public name"
ENCODED = "percent-encoded or names a zone"
CHARACTER = "a space, a backslash or a character outside ASCII"
PORT = "not a number from 1 to 65535"
BRACKETS = "not well formed"
NO_NAME = "is no host name"

HOSTILE = {
    "": CHARACTER,
    "http://example.com/": NOT_HTTPS,
    "HTTP://example.com/": NOT_HTTPS,
    "ftp://example.com/": NOT_HTTPS,
    "file:///etc/passwd": NOT_HTTPS,
    "gopher://example.com/": NOT_HTTPS,
    "javascript:alert(1)": NOT_HTTPS,
    "//example.com/": NOT_HTTPS,
    "example.com": NOT_HTTPS,
    "https:example.com": "names no host",
    "https:///path": "names no host",
    "https://": "names no host",
    "https://:443/": "names no host",
    "https://user@example.com/": WHOSE,
    "https://user:secret@example.com/": WHOSE,
    "https://@example.com/": WHOSE,
    "https://example.com@127.0.0.1/": WHOSE,
    "https://127.0.0.1#@example.com/": "fragment",
    "https://example.com/#here": "fragment",
    "https://example.com:0/": PORT,
    "https://example.com:65536/": PORT,
    "https://example.com:/": PORT,
    "https://example.com:-1/": PORT,
    "https://example.com:443443443/": PORT,
    "https://example.com:https/": PORT,
    "https://localhost/": NO_PUBLIC_NAME,
    "https://LOCALHOST:8443/": NO_PUBLIC_NAME,
    "https://a.localhost/": NO_PUBLIC_NAME,
    "https://localhost.localdomain/": NO_PUBLIC_NAME,
    "https://printer.local/": NO_PUBLIC_NAME,
    "https://metadata.google.internal/": NO_PUBLIC_NAME,
    "https://router.home.arpa/": NO_PUBLIC_NAME,
    "https://intranet/": NO_PUBLIC_NAME,
    "https://localhost./": "ends in a dot",
    "https://127.0.0.1./": "ends in a dot",
    "https://example.com./": "ends in a dot",
    "https://127.0.0.1/": NOT_PUBLIC,
    "https://127.8.8.8/": NOT_PUBLIC,
    "https://0.0.0.0/": NOT_PUBLIC,
    "https://10.0.0.1/": NOT_PUBLIC,
    "https://172.16.0.1/": NOT_PUBLIC,
    "https://192.168.1.1/": NOT_PUBLIC,
    "https://169.254.169.254/latest/meta-data/": NOT_PUBLIC,
    "https://100.64.0.1/": NOT_PUBLIC,
    "https://100.127.255.254/": NOT_PUBLIC,
    "https://192.0.0.8/": NOT_PUBLIC,
    "https://192.0.2.1/": NOT_PUBLIC,
    "https://192.88.99.1/": NOT_PUBLIC,
    "https://198.18.0.1/": NOT_PUBLIC,
    "https://198.51.100.1/": NOT_PUBLIC,
    "https://203.0.113.1/": NOT_PUBLIC,
    "https://224.0.0.1/": NOT_PUBLIC,
    "https://239.255.255.250/": NOT_PUBLIC,
    "https://240.0.0.1/": NOT_PUBLIC,
    "https://255.255.255.255/": NOT_PUBLIC,
    "https://[::]/": NOT_PUBLIC,
    "https://[::1]/": NOT_PUBLIC,
    "https://[0:0:0:0:0:0:0:1]:443/": NOT_PUBLIC,
    "https://[fe80::1]/": NOT_PUBLIC,
    "https://[fec0::1]/": NOT_PUBLIC,
    "https://[fc00::1]/": NOT_PUBLIC,
    "https://[fd12:3456::1]/": NOT_PUBLIC,
    "https://[ff02::1]/": NOT_PUBLIC,
    "https://[ff0e::1]/": NOT_PUBLIC,
    "https://[::ffff:127.0.0.1]/": NOT_PUBLIC,
    "https://[::ffff:8.8.8.8]/": NOT_PUBLIC,
    "https://[::127.0.0.1]/": NOT_PUBLIC,
    "https://[64:ff9b::7f00:1]/": NOT_PUBLIC,
    "https://[64:ff9b::808:808]/": NOT_PUBLIC,
    "https://[64:ff9b:1::7f00:1]/": NOT_PUBLIC,
    "https://[2002:7f00:1::]/": NOT_PUBLIC,
    "https://[2002:808:808::1]/": NOT_PUBLIC,
    "https://[2001:0:7f00:1::]/": NOT_PUBLIC,
    "https://[2001:db8::1]/": NOT_PUBLIC,
    "https://[3fff::1]/": NOT_PUBLIC,
    "https://[100::1]/": NOT_PUBLIC,
    "https://[fe80::1%25eth0]/": ENCODED,
    "https://[fe80::1%eth0]/": ENCODED,
    "https://[::1": BRACKETS,
    "https://[v1.fe80::a]/": NUMBER,
    "https://::1/": NO_NAME,
    "https://2606:4700:0:0:0:0:0:1111:443/": NO_NAME,
    "https://[127.0.0.1]/": BRACKETS,
    "https://[8.8.8.8]/": BRACKETS,
    "https://[]/": BRACKETS,
    "https://x[::1]/": BRACKETS,
    "https://[::1]x/": BRACKETS,
    "https://[::1]:443:443/": BRACKETS,
    "https://2130706433/": NUMBER,
    "https://0x7f000001/": NUMBER,
    "https://0X7F.1/": NUMBER,
    "https://0x7f.0.0.0x1/": NUMBER,
    "https://017700000001/": NUMBER,
    "https://0177.0.0.1/": NUMBER,
    "https://127.0.0.01/": NUMBER,
    "https://127.1/": NUMBER,
    "https://127.0.1/": NUMBER,
    "https://127.0.0.1.1/": NUMBER,
    "https://127.0.0.256/": NUMBER,
    "https://1.1.1.0x/": NUMBER,
    "https://127.0.0.%31/": ENCODED,
    "https://%6c%6f%63alhost/": ENCODED,
    "https://127%2e0%2e0%2e1/": ENCODED,
    "https://①②⑦.⓪.⓪.①/": CHARACTER,
    "https://127。0。0。1/": CHARACTER,  # dots that some resolvers take for dots
    "https://١٢٧.٠.٠.١/": CHARACTER,
    "https://bücher.example/": CHARACTER,
    "https://exa\tmple.com/": CHARACTER,
    "https://example.com/\r\nX-Evil: 1": CHARACTER,
    " https://example.com/": CHARACTER,
    "https://example.com/ x": CHARACTER,
    "https://example.com\x00.evil.com/": CHARACTER,
    "https:\\\\example.com\\": CHARACTER,
    "https://127.0.0.1\\@example.com/": CHARACTER,
    "https://-bad.example/": NO_NAME,
    "https://bad-.example/": NO_NAME,
    "https://a..example/": NO_NAME,
    "https://.example/": NO_NAME,
    "https://under_score.example/": NO_NAME,
    "https://ex*mple.com/": NO_NAME,
    f"https://{'a' * 64}.example/": NO_NAME,
    f"https://{'a.' * 130}example/": NO_NAME,
    "https://example.com/" + "a" * 2000: "2020 characters",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_address_is_refused_with_its_reason(text: str) -> None:
    with pytest.raises(WebhookRefused) as refusal:
        webhook_address(text)
    assert HOSTILE[text] in refusal.value.detail


@pytest.mark.parametrize(
    ("text", "authority", "target"),
    [
        ("https://hooks.example.com", "hooks.example.com", "/"),
        ("HTTPS://Hooks.Example.com:443/a/b?c=d%20e", "hooks.example.com", "/a/b?c=d%20e"),
        ("https://hooks.example.com:8443/?", "hooks.example.com:8443", "/"),
        ("https://xn--bcher-kva.example/x", "xn--bcher-kva.example", "/x"),
        ("https://3com.example/", "3com.example", "/"),
        ("https://8.8.8.8/x", "8.8.8.8", "/x"),
        ("https://[2606:4700::1111]:444/x", "[2606:4700::1111]:444", "/x"),
    ],
)
def test_a_public_address_is_taken_apart(text: str, authority: str, target: str) -> None:
    address = webhook_address(text)
    assert (address.authority, address.target) == (authority, target)
