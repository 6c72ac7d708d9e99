"""A channel: messages both ways over any transport, with back-pressure, liveness and an end."""
