"""An entry: what a call does, in words that the native code reads."""

from __future__ import annotations

import array

from mezzo.core.short import words as w


class Unlike(Exception):
    """The call does something that an entry cannot hold."""


class Entry:
    """The words of an entry (words.py), and everything that they point to."""

    def __init__(self, key: bytes):
        self.words = array.array("q", bytes(8 * (w.TAKEN + 1)))
        self.words[w.HOLDER] = id(self)  # so that a call in progress keeps it alive
        self.kept: list = []
        self.key = array.array("q", key)
        self.words[w.HASH], self.words[w.WORDS] = self.key[0], len(self.key) - 1
        self.words[w.WORDS_AT] = self.key.buffer_info()[0] + 8

    @property
    def address(self) -> int:
        """Where the native code reads it."""
        return self.words.buffer_info()[0]

    def hold(self, value) -> int:
        """The address of an object that lives as long as the entry."""
        self.kept.append(value)
        return id(value)

    def block(self, numbers) -> int:
        """The address of numbers in memory."""
        made = array.array("q", numbers)
        self.kept.append(made)
        return made.buffer_info()[0]

    def put(self, which: int, rows: list[tuple]) -> None:
        """A count, and the rows one after another."""
        self.words[which] = len(rows)
        self.words[which + 1] = self.block([n for row in rows for n in row])
