"""The domain of the line-up: records, commands and the board; pure, synchronous, no I/O."""
