"""A second reader of the grammar, straight from its ABNF: it only says yes or no."""

import re

_WS = re.compile(r"[ \t\r\n]*")
_SCTID = re.compile(r"[1-9][0-9]{5,17}(?![0-9])", re.ASCII)
_UTF8 = "\x80-\ud7ff\ue000-\U0010ffff"
_NON_WS_NON_PIPE = f"[\x21-\x7b\x7d-\x7e{_UTF8}]"
_TERM = re.compile(f"{_NON_WS_NON_PIPE}(?: *{_NON_WS_NON_PIPE})*")
_STRING = re.compile(rf'"(?:[\t\r\n\x20-\x21\x23-\x5b\x5d-\x7e{_UTF8}]|\\"|\\\\)+"')
_NUMBER = re.compile(r"#[-+]?(?:[1-9][0-9]*|0)(?:\.[0-9]+)?(?![0-9])", re.ASCII)
_BOOLEAN = re.compile("true|false", re.IGNORECASE | re.ASCII)


class _NoError(Exception):
    pass


class _Reader:
    def __init__(self, text):
        self.text = text
        self.place = 0

    def take(self, pattern):
        found = pattern.match(self.text, self.place)
        if found is None:
            raise _NoError
        self.place = found.end()

    def ws(self):
        self.take(_WS)

    def has(self, literal):
        if self.text.startswith(literal, self.place):
            self.place += len(literal)
            return True
        return False

    def need(self, literal):
        if not self.has(literal):
            raise _NoError

    def ahead(self, literal):
        """Take blanks and `literal`, or nothing."""
        start = self.place
        self.ws()
        if self.has(literal):
            return True
        self.place = start
        return False

    def expression(self):
        self.ws()
        if self.has("===") or self.has("<<<"):
            self.ws()
        self.sub_expression()
        self.ws()
        if self.place != len(self.text):
            raise _NoError

    def sub_expression(self):
        self.concept()
        while self.ahead("+"):
            self.ws()
            self.concept()
        if self.ahead(":"):
            self.ws()
            self.refinement()

    def concept(self):
        self.take(_SCTID)
        if self.ahead("|"):
            self.ws()
            self.take(_TERM)
            self.ws()
            self.need("|")

    def refinement(self):
        if self.has("{"):
            self.group()
        else:
            self.attribute()
            while True:
                start = self.place
                if not self.ahead(","):
                    break
                self.ws()
                if self.text.startswith("{", self.place):
                    self.place = start
                    break
                self.attribute()
        while True:
            comma = self.ahead(",")
            if not self.ahead("{"):
                if comma:
                    raise _NoError
                return
            self.group()

    def group(self):
        self.ws()
        self.attribute()
        while self.ahead(","):
            self.ws()
            self.attribute()
        self.ws()
        self.need("}")

    def attribute(self):
        self.concept()
        self.ws()
        self.need("=")
        self.ws()
        if self.has("("):
            self.ws()
            self.sub_expression()
            self.ws()
            self.need(")")
            return
        for pattern in (_SCTID, _STRING, _NUMBER, _BOOLEAN):
            start = self.place
            try:
                if pattern is _SCTID:
                    self.concept()
                else:
                    self.take(pattern)
            except _NoError:
                self.place = start
                continue
            return
        raise _NoError


def is_expression(text):
    """Return whether `text` is in SNOMED CT Compositional Grammar 2.4."""
    try:
        _Reader(text).expression()
    except _NoError:
        return False
    return True
