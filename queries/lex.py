"""First gate of a ``where`` text: its tokens.

Only the words and signs of the dialect get past, and each word is settled here: a keyword, one of the
functions, or a column. The parser behind knows far more SQL than the dialect; what it never sees it cannot
misread.
"""

from __future__ import annotations

import difflib
import re

from sqlglot import Dialect, Token, TokenType
from sqlglot.errors import SqlglotError

from archindex.core.errors import FilterError, UnknownNameError
from archindex.queries.columns import Schema

FUNCTIONS = ("abs", "coalesce", "contains", "ln", "sqrt")
QUERY = "query."
DIALECT = (
    "one boolean expression over columns, with = <> < <= > >=, AND, OR, NOT, BETWEEN, IN, LIKE, IS NULL, "
    "+ - * /, abs, ln, sqrt, coalesce, contains"
)
MAX_LENGTH = 10_000
MAX_NESTING = 20

_COMPARISONS = frozenset({"EQ", "NEQ", "LT", "LTE", "GT", "GTE", "IS", "IN", "BETWEEN", "LIKE"})
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN", "IS", "NULL", "TRUE", "FALSE", "LIKE", "ESCAPE"})
_SIGNS = frozenset({"EQ", "NEQ", "LT", "LTE", "GT", "GTE", "PLUS", "DASH", "STAR", "SLASH", "COMMA"})
# What a value can end with; only after one may these keywords stand, elsewhere sqlglot takes them for names.
_VALUE_ENDS = frozenset({"IDENTIFIER", "NUMBER", "STRING", "NULL", "TRUE", "FALSE", "R_PAREN"})
_AFTER_VALUE = frozenset({"IS", "IN", "BETWEEN", "LIKE", "ESCAPE"})
_PARENTHESES = frozenset({"L_PAREN", "R_PAREN"})
_ALLOWED = _KEYWORDS | _SIGNS | _PARENTHESES | {"NUMBER", "STRING"}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_QUERY = re.compile(r"query\.(\"?)([A-Za-z_][A-Za-z0-9_]*)\1", re.IGNORECASE)
# The parser has a function of this name with other arguments.
_RENAMED = {"contains": "motif"}


def tokens_of(text: str, schema: Schema) -> list[Token]:
    """Split `text` into tokens of the dialect; every name in them is a column of `schema`.

    Raises
    ------
    FilterError
        If the text is empty, too long or nested too deep, holds a comment or a second statement, or uses a
        word, sign or function outside the dialect, or two comparisons without parentheses between them.
    UnknownNameError
        If a word is no column.
    """
    if not text.strip():
        raise FilterError(f"expected {DIALECT}", got=text)
    if len(text) > MAX_LENGTH:
        raise FilterError(f"expected a filter of at most {MAX_LENGTH} characters", got=len(text))
    try:
        found = Dialect.get_or_raise(None).tokenize(text)
    except SqlglotError:
        raise FilterError(f"expected {DIALECT}", got=text, fix="close every quote") from None

    end = 0
    tokens = []
    found = _joined(found, text)
    for at, token in enumerate(found):
        _refuse_gap(text, end, token.start)
        end = token.end + 1
        raw = text[token.start : end]
        calls = at + 1 < len(found) and found[at + 1].token_type is TokenType.L_PAREN
        of_query = _OF_QUERY.fullmatch(raw)
        if of_query:
            name = QUERY + _name(of_query[2].lower(), raw, schema, calls=calls, keyword=False)
            token = Token(TokenType.IDENTIFIER, name, token.line, token.col, token.start, token.end)
        elif raw.startswith('"') or (_WORD.fullmatch(raw) and token.token_type.name not in _KEYWORDS):
            keyword = token.token_type not in (TokenType.VAR, TokenType.IDENTIFIER)
            name = _name(token.text.lower(), raw, schema, calls=calls, keyword=keyword)
            kind = TokenType.VAR if calls else TokenType.IDENTIFIER
            name = _RENAMED.get(name, name) if calls else name
            token = Token(kind, name, token.line, token.col, token.start, token.end)
        elif token.token_type is TokenType.SEMICOLON:
            raise FilterError("expected one expression and no second statement", got=text, fix="remove ';'")
        elif token.token_type.name not in _ALLOWED:
            raise FilterError(f"expected {DIALECT}", got=text, fix=f"{raw[:40]!r} is not among them")
        tokens.append(token)
    _refuse_gap(text, end, len(text))
    _check_structure(text, tokens)
    return tokens


def _joined(tokens: list[Token], text: str) -> list[Token]:
    """Return the tokens with ``query``, a point and a name, where nothing lies between, made one."""
    found: list[Token] = []
    for token in tokens:
        if len(found) > 1 and found[-1].token_type is TokenType.DOT:
            start = found[-2].start
            if _OF_QUERY.fullmatch(text[start : token.end + 1]):
                first = found[-2]
                found[-2:] = [Token(TokenType.VAR, "", first.line, first.col, start, token.end)]
                continue
        found.append(token)
    return found


def _refuse_gap(text: str, start: int, stop: int) -> None:
    # What lies between two tokens and is not blank is a comment, whatever its style.
    if text[start:stop].strip():
        raise FilterError("expected a filter without comments", got=text[start:stop].strip())


def _name(name: str, raw: str, schema: Schema, *, calls: bool, keyword: bool) -> str:
    if calls:
        if name in FUNCTIONS and not raw.startswith('"'):
            return name
        near = difflib.get_close_matches(name, FUNCTIONS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else None
        raise FilterError(f"expected one of the functions {', '.join(FUNCTIONS)}", got=raw, fix=hint)
    if name in schema:
        return name
    if keyword:
        raise FilterError(f"expected {DIALECT}", got=raw, fix="this word is neither among them nor a column")
    raise UnknownNameError.of("column", name, schema)


def _check_structure(text: str, tokens: list[Token]) -> None:
    """Refuse what is nested too deep, and comparisons that SQL dialects read in different orders.

    ``a = b IS NULL`` is ``(a = b) IS NULL`` to one and ``a = (b IS NULL)`` to another.
    """
    comparisons = [0]  # of the part being read, one entry for each open parenthesis
    between = [0]  # how many BETWEEN still wait for their AND
    prefixes = 0
    kinds = [token.token_type.name for token in tokens]
    for at, (kind, token) in enumerate(zip(kinds, tokens, strict=True)):
        prefixes = prefixes + 1 if kind in ("NOT", "DASH", "PLUS") else 0
        if len(comparisons) > MAX_NESTING or prefixes > MAX_NESTING:
            raise FilterError(f"expected a filter nested at most {MAX_NESTING} deep", got=text)
        if kind in _AFTER_VALUE:
            before = at - 2 if at and kinds[at - 1] == "NOT" else at - 1
            if before < 0 or kinds[before] not in _VALUE_ENDS:
                raise FilterError(f"expected a value before {token.text!r}", got=text)
        if kind == "L_PAREN":
            comparisons.append(0)
            between.append(0)
        elif kind == "R_PAREN":
            comparisons.pop()
            between.pop()
            if not comparisons:
                raise FilterError("expected every parenthesis to be opened before it is closed", got=text)
        elif kind == "AND" and between[-1]:
            between[-1] -= 1
        elif kind in ("AND", "OR", "COMMA"):
            comparisons[-1] = 0
        elif kind in _COMPARISONS:
            comparisons[-1] += 1
            between[-1] += kind == "BETWEEN"
            if comparisons[-1] > 1:
                raise FilterError(
                    "expected one comparison between AND, OR and parentheses",
                    got=text,
                    fix=f"put parentheses around one side of {token.text!r}",
                )
