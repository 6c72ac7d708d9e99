"""For tests of what is built on gbs-actor: the whole server under a clock of one's own."""
