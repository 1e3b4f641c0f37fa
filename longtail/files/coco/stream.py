"""JSON text of any length, of which a part is held in memory."""

import json
import re
from collections.abc import Iterator
from typing import TextIO

from longtail.plain import JSON

_WINDOW = 2**22  # characters that are held at once, at least
_SPACE = re.compile(r"[ \t\n\r]*")


class JSONStream:
    """Takes values from JSON text one by one; a ``ValueError`` says what is wrong with it and where."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decode = json.JSONDecoder().raw_decode
        self._text, self._at, self._before = "", 0, 0  # the window, the place in it, the characters before it
        self._ended = False

    def error(self, message: str, at: int | None = None) -> ValueError:
        """``message`` with the place where the next character is, or with that of character ``at`` of the window."""
        at = self._at if at is None else at
        return ValueError(f"{message}, character {self._before + at + 1}")

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            if space := _SPACE.match(self._text, self._at):
                self._at = space.end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def value(self) -> JSON:
        """Take a whole value."""
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self.error(error.msg, error.pos) from error
            else:
                if self._ended or end + 8 <= len(self._text):  # else a number could go on behind the window
                    self._at = end
                    return value
            self._more()

    def items(self) -> Iterator[JSON]:
        """Take a list, item by item."""
        for _ in self._parts("[", "]"):
            yield self.value()

    def members(self) -> Iterator[str]:
        """Take an object, key by key; each time, the value is to be taken before the next key."""
        for _ in self._parts("{", "}"):
            if self.peek() != '"':
                raise self.error("a key in quotes expected")
            key = self.value()
            self._skip(":")
            yield key

    def _parts(self, opening: str, closing: str) -> Iterator[None]:
        """Stops before each part between the brackets, which is to be taken then."""
        self._skip(opening)
        if self.peek() == closing:
            self._skip(closing)
            return
        yield
        while self._skip("," + closing) == ",":
            yield

    def _skip(self, characters: str) -> str:
        """Take the next character, one of ``characters``."""
        character = self.peek()
        if not character:
            raise self.error("the text breaks off")
        if character not in characters:
            raise self.error(f"{' or '.join(characters)} expected")
        self._at += 1
        return character

    def _more(self) -> None:
        """Drop what was taken and make the window longer."""
        rest = self._text[self._at :]
        piece = self._stream.read(max(_WINDOW, len(rest)))
        self._before += self._at
        self._text, self._at, self._ended = rest + piece, 0, not piece
