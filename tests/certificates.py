"""Certificates for tests: made when they are wanted, each its own authority."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """As PEM."""

    cert: str
    key: str = field(repr=False)

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Written there: the certificate's file and the key's."""
        paths = folder / "tls.crt", folder / "tls.key"
        for path, text in zip(paths, (self.cert, self.key), strict=True):
            path.write_text(text)
        return paths

    def server(self, folder: Path) -> ssl.SSLContext:
        """What a server needs that shows it; its files are left in the folder."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(folder))
        return context


def self_signed(*names: str, since: datetime.timedelta = DAY, until: datetime.timedelta = DAY) -> Certificate:
    """For these hosts and addresses, valid from `since` ago for `until` from now: negative for what has expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - since)
        .not_valid_after(now + until)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificate(
        cert=made.public_bytes(serialization.Encoding.PEM).decode(), key=key.private_bytes(*form).decode()
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
