"""What is below Socket.IO: listener, TLS, request heads, limits, origins."""
