"""The Socket.IO namespace ``/gbs-lineup``."""
