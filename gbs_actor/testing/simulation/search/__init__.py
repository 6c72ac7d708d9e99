"""Explains a small history by trying everything: what the checker's rules are judged by.

A history is right if each answer can be given a revision of the log at which it was made, so that

- the answer is the right one at that revision, which was durable by then;
- what is asked for after something was seen is answered at no lower revision, and what is stored
  then has a higher one; and
- what each connection is sent comes out of an outbox: one revision after the other goes in, answers
  go in between, and what waits may be replaced by something newer.

Exponential, and meant for some six commands of two or three clients that each join once. The log is
taken as given. Liveness, marks and presence are no part of it.
"""

from gbs_actor.testing.simulation.search.explaining import is_explained

__all__ = ["is_explained"]
