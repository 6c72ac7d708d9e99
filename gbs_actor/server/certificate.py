"""The server's certificate: loads PEM files, and makes the context of TLS connections."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from gbs_actor.settings import ServerSettings, SettingsError

_PROTOCOLS: Final = ("http/1.1",)
"""The protocols to negotiate (ALPN, RFC 7301)."""

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Ciphers of TLS 1.2, with forward secrecy and authenticated encryption."""

_OTHER_KEY: Final = frozenset(
    {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
)
"""OpenSSL's reasons for a key of another certificate; the last: a key of another type."""

logger = logging.getLogger(__name__)


class Certificate:
    """A certificate and its key, which can be read again while the server runs.

    :param certificate: PEM file, the server's own certificate first.
    :param key: PEM file.
    :param password: of an encrypted key.
    :raises SettingsError: they cannot be used.
    """

    def __init__(self, certificate: Path, key: Path, password: SecretStr | None = None) -> None:
        self._certificate = certificate
        self._key = key
        self._password = password
        self._context = self._load()

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> Certificate | None:
        """Return the certificate of the settings; ``None``: no TLS.

        :raises SettingsError: it cannot be used.
        """
        if settings.tls_certificate is None or settings.tls_key is None:
            return None
        return cls(settings.tls_certificate, settings.tls_key, settings.tls_key_password)

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection."""
        return self._context

    def read_again(self) -> None:
        """Load the files again, for new connections; if that fails, keep the ones in use.

        Logs the outcome.
        """
        try:
            self._context = self._load()
        except SettingsError as error:
            logger.error(  # noqa: TRY400  (the sentence is enough)
                "the certificate in use stays, as the new one is refused: %s", error
            )
        else:
            logger.info("the certificate was read again: %s", self._certificate)

    def _load(self) -> ssl.SSLContext:
        _check_readable("tls_certificate", self._certificate)
        _check_readable("tls_key", self._key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(_PROTOCOLS)
        try:
            context.load_cert_chain(self._certificate, self._key, self._password_for_key)
        except ssl.SSLError as error:
            raise SettingsError(self._reason(error)) from None
        except OSError as error:
            raise SettingsError(f"tls_certificate, tls_key: {error.strerror}.") from None
        except ValueError as error:
            raise SettingsError(f"tls_key_password: {error}.") from None
        return context

    def _password_for_key(self) -> str:
        # Without this, OpenSSL asks on the terminal and the server waits.
        if self._password is None:
            raise SettingsError(f"tls_key: {self._key} is encrypted; set tls_key_password.")
        return self._password.get_secret_value()

    def _reason(self, error: ssl.SSLError) -> str:
        if error.reason in _OTHER_KEY:
            return f"tls_key: {self._key} is not the key of the certificate {self._certificate}."
        if not _has_certificate(self._certificate):
            return f"tls_certificate: {self._certificate} holds no certificate in PEM form."
        if error.reason is not None and error.reason != "NO_START_LINE":
            what = error.reason.lower().replace("_", " ")
            return f"tls_certificate and tls_key cannot be used: {what}."
        if self._password is not None:
            return f"tls_key: {self._key} holds no private key in PEM form with this password."
        return f"tls_key: {self._key} holds no private key in PEM form."


def _check_readable(setting: str, path: Path) -> None:
    """Raise an error that names the file, as OpenSSL does not."""
    try:
        with path.open("rb"):
            return
    except FileNotFoundError:
        raise SettingsError(f"{setting}: {path} does not exist.") from None
    except OSError as error:
        raise SettingsError(f"{setting}: {path} cannot be read: {error.strerror}.") from None


def _has_certificate(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except OSError:  # ssl.SSLError is one; or the file was removed meanwhile
        return False
    return True
