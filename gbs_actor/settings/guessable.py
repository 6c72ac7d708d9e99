"""Tells secrets that can be guessed from random ones."""

from __future__ import annotations

import zlib
from typing import Final

MAKE_SECRET: Final = "openssl rand -base64 48"  # noqa: S105  (a command)
"""The command that prints a good secret."""
MINIMUM_SIZE: Final = 24
"""Bytes that are left of a secret. The least that was left of 2,100,000 random secrets of 32
characters, hexadecimal and base64, were 27.
"""

_GUESSES: Final = (
    b"aabbccddeeffgghhiijjkkllmmnnooppqqrrssttuuvvwwxxyyzz00112233445566778899 "
    b"qazwsxedcrfvtgbyhnujmikolp 1q2w3e4r5t6y7u8i9o0p poiuytrewq lkjhgfdsa mnbvcxz "
    b"zyxwvutsrqponmlkjihgfedcba fedcba9876543210 qwertyuiop asdfghjkl zxcvbnm deadbeef "
    b"abcdefghijklmnopqrstuvwxyz 0123456789abcdef 01234567890 monkey dragon master iloveyou "
    b"letmein welcome hello world root user login admin administrator retreat church lineup "
    b"line-up gbs_actor gbs-actor staging local localhost prod dev public private server access "
    b"token auth string characters bits random openssl rand -base64 48 at least from and for of "
    b"the not a this is long enough bytes here dummy demo test testing sample example default "
    b"replace replaceme passphrase passwd password hs256 sha256 your-256-bit-secret "
    b"jwt_secret_key for_development for_production only "
    b"this-is-a-very-long-super-secret-jwt-signing-key-in-production-please-change-me changeme"
)
"""Sequences, rows of the keyboard, words of example texts; what is likelier stands later."""


def is_guessable(secret: str) -> bool:
    """Return whether a secret is made of common words, sequences and repetition.

    It is compressed with Deflate (RFC 1951), which replaces repetition, and whatever is in a
    dictionary of guesses, by references. Little is left of what is easy to guess.

    :param secret: at least 32 bytes.
    """
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_FIXED, _GUESSES)
    compressed = compressor.compress(secret.lower().encode()) + compressor.flush()
    return len(compressed) < MINIMUM_SIZE
