"""What clients say, turned into commands; what rooms answer, turned into what they know."""
