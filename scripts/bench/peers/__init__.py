"""The programs that ours is compared with, and what is needed of ours alone; see ``servers``."""
