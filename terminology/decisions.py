"""`Decisions`: the table of what a site decided about its header values, and edits of it.

Each edit replaces the table in one step and is kept in the journal, so that it can be undone.
Several editors wait for one another; whoever reads meanwhile sees the table before or after an
edit. What a decision must keep to is the business of `terminology.proposals`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from terminology import sssom
from terminology.decision_table import written
from terminology.files import written_whole
from terminology.journal import UNDO, VOID, Entry, Journal, checksum, next_id, now, standing
from terminology.local import DECISIONS_TABLE
from terminology.mapping import MappingSet, SemanticMapping
from terminology.proposals import AUTHOR_PREFIXES, WORD, DecisionError, DecisionKey, row_key

_Rows = tuple[SemanticMapping, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit did: the rows that went and those that came; both empty when nothing did."""

    removed: _Rows = ()
    added: _Rows = ()
    undone: Entry | None = None

    @property
    def empty(self) -> bool:
        """Whether the table is as it was."""
        return not self.removed and not self.added


class Decisions:
    """The decisions in `folder`, which need not exist before the first edit.

    Parameters
    ----------
    folder
        Of a site's own tables.
    prefixes
        How the CURIEs of rows from elsewhere are written out, beside those of authors.
    """

    def __init__(self, folder: Path, prefixes: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._prefixes = {**(prefixes or {}), **AUTHOR_PREFIXES}
        self.path = folder / DECISIONS_TABLE
        self._journal = Journal(folder)

    def rows(self) -> _Rows:
        """Return the decisions, in the order of the table.

        Raises
        ------
        TableError
            The table has bad rows.
        """
        return self._read().mappings

    def log(self) -> list[Entry]:
        """Return every edit, the oldest first.

        Raises
        ------
        DecisionError
            There is no such folder.
        JournalError
            A line is no entry.
        """
        self.require_folder()
        return self._journal.entries()

    def decide(
        self, decisions: Iterable[_Rows], author: str, action: str, note: str | None = None
    ) -> Change:
        """Save `decisions`, each the rows of one value, in the place of what was decided before.

        A decision that stands already, whoever made it, is left as it is. `note` goes into the
        journal.

        Raises
        ------
        DecisionError
            Two of `decisions` differ about one value, or the folder cannot be written.
        TableError
            The table has bad rows.
        """
        new = _once(decisions)

        def edited(present: _Rows) -> tuple[_Rows, _Rows]:
            before = by_key(present)
            changed = {key: rows for key, rows in new.items() if not _same(before.get(key), rows)}
            removed = [row for key in changed for row in before.get(key, ())]
            return tuple(removed), tuple(row for rows in changed.values() for row in rows)

        return self._edit(edited, author, action, note)

    def remove(self, keys: Collection[DecisionKey], author: str, note: str | None = None) -> Change:
        """Take back what was decided about the values with these keys.

        Raises
        ------
        DecisionError
            Nothing was decided about one of them; the table stays as it is.
        TableError
            The table has bad rows.
        """
        self.require_folder()

        def edited(present: _Rows) -> tuple[_Rows, _Rows]:
            found = {row_key(row) for row in present}
            for field, words in keys:
                if (field, words) not in found:
                    place = f" in {field}" if field else ""
                    raise DecisionError(
                        "VALUE",
                        f"nothing is decided about '{' '.join(words)}'{place}",
                        "a value with a decision",
                        "'bodysite mappings review' lists them; --field names the attribute.",
                    )
            return tuple(row for row in present if row_key(row) in keys), ()

        return self._edit(edited, author, "remove", note)

    def undo(self, steps: int, author: str) -> list[Change]:
        """Take back the last `steps` edits that still stand, the newest first.

        Raises
        ------
        DecisionError
            There are not so many, or rows of one were changed since without the journal. Nothing
            is undone then.
        TableError
            The table has bad rows.
        """
        self.require_folder()
        with self._held():
            entries = standing(self._journal.entries())
            if len(entries) < steps:
                raise DecisionError(
                    "--steps",
                    f"there are only {len(entries)} edits to undo"
                    if entries
                    else "nothing to undo",
                    "so many edits that still stand",
                    "'bodysite mappings log' lists the edits.",
                )
            newest = entries[: -steps - 1 : -1]
            rows = list(self._read().mappings)
            for entry in newest:
                _require_rows(entry, rows)
                rows = [row for row in rows if row not in entry.added] + list(entry.removed)
            return [self._undo(entry, author) for entry in newest]

    def require_folder(self) -> None:
        """Raise `DecisionError` when there is no such folder: its name may be mistyped."""
        if not self.folder.is_dir():
            raise DecisionError(
                f"--mappings {self.folder}",
                "there is no such folder",
                "the folder of a site's own tables",
                "'bodysite mappings add' makes it with the first decision.",
            )

    def _undo(self, entry: Entry, author: str) -> Change:
        change = Change(entry.added, entry.removed, entry)
        self._replace(self._read(), self._bytes(), change, author, UNDO, None)
        return change

    def _edit(
        self,
        edited: Callable[[_Rows], tuple[_Rows, _Rows]],
        author: str,
        action: str,
        note: str | None,
    ) -> Change:
        with self._held() as content:
            present = self._read()
            change = Change(*edited(present.mappings))
            if not change.empty:
                self._replace(present, content, change, author, action, note)
            return change

    @contextlib.contextmanager
    def _held(self) -> Iterator[bytes | None]:
        """Hold the table alone; an edit that a kill cut off is marked as one that never was."""
        try:
            with self._journal.held():
                content = self._bytes()
                entries = self._journal.entries()
                if entries:
                    last, found = entries[-1], checksum(content)
                    if last.action != VOID and last.before == found != last.after:
                        self._note_void(last, found)
                yield content
        except OSError as error:
            raise DecisionError(
                f"--mappings {self.folder}",
                f"the folder cannot be written ({error.strerror or type(error).__name__})",
                "a folder of yours",
                "Check its permissions and the space on the disk.",
            ) from error

    def _note_void(self, cut: Entry, found: str) -> None:
        self._journal.append(
            Entry(
                next_id(self._journal.entries()),
                now(),
                cut.author,
                VOID,
                (),
                (),
                found,
                found,
                undoes=cut.id,
            )
        )

    def _replace(
        self,
        present: MappingSet,
        content: bytes | None,
        change: Change,
        author: str,
        action: str,
        note: str | None,
    ) -> None:
        kept = [row for row in present.mappings if row not in change.removed]
        rows = sorted((*kept, *change.added), key=lambda row: row.subject_field or "")
        text = written(present, rows, self._prefixes)
        entries = self._journal.entries()
        self._journal.append(
            Entry(
                id=next_id(entries),
                time=now(),
                author=author,
                action=action,
                removed=change.removed,
                added=change.added,
                before=checksum(content),
                after=checksum(text),
                note=note,
                undoes=change.undone.id if change.undone is not None else None,
            )
        )
        with written_whole(self.path, binary=True) as stream:
            stream.write(text)

    def _bytes(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def _read(self) -> MappingSet:
        if self.path.exists():
            return sssom.read(self.path)
        return MappingSet(self.path.name.removesuffix(".sssom.tsv"), {}, ())


def _require_rows(entry: Entry, rows: Collection[SemanticMapping]) -> None:
    """Raise unless the rows that an edit added are there still."""
    for row in entry.added:
        if row not in rows:
            raise DecisionError(
                f"edit {entry.id}",
                f"the row of '{row.subject_label}' was changed since, outside the journal",
                "the rows as the edit left them",
                "Decide about the value anew with 'bodysite mappings add', or remove it.",
            )


def read_table(path: Path) -> MappingSet:
    """Return the decisions in an SSSOM table that came from elsewhere.

    Raises
    ------
    DecisionError
        It is a table of codes, not of words.
    TableError
        It has bad rows.
    """
    table = sssom.read(path)
    coded = next((row for row in table.mappings if row.subject_type != sssom.LITERAL), None)
    if coded is not None:
        raise DecisionError(
            f"{path.name}:{coded.line} subject_id",
            f"'{coded.subject_id}' is a code",
            "literal subjects: header values and words",
            "Put a table of codes into the folder of --mappings as it is: it is read from there.",
        )
    return table


def by_key(rows: Iterable[SemanticMapping]) -> dict[DecisionKey, _Rows]:
    """Return the rows of each decision, in the order of the first ones."""
    found: dict[DecisionKey, list[SemanticMapping]] = {}
    for row in rows:
        found.setdefault(row_key(row), []).append(row)
    return {key: tuple(rows) for key, rows in found.items()}


def _once(decisions: Iterable[_Rows]) -> dict[DecisionKey, _Rows]:
    found: dict[DecisionKey, _Rows] = {}
    for rows in decisions:
        other = found.setdefault(row_key(rows[0]), rows)
        if other is not rows and not _same(other, rows):
            raise DecisionError(
                f"'{rows[0].subject_label}'",
                f"two decisions about one value: {_objects(other)} and {_objects(rows)}",
                "one decision a value and attribute",
                "Leave one of them out; case, accents and separators do not tell values apart.",
            )
    return found


def _objects(rows: _Rows) -> str:
    return " + ".join(row.object_id for row in rows)


def _same(present: _Rows | None, rows: _Rows) -> bool:
    """Return whether what stands says what `rows` say, whoever decided it and when."""
    if present is None:
        return False
    comments = {row.comment for row in rows} - {None}
    return {_saying(row) for row in present} == {_saying(row) for row in rows} and (
        comments <= {row.comment for row in present}
    )


def _saying(row: SemanticMapping) -> tuple[object, ...]:
    return (
        row.object_id,
        row.object_laterality,
        row.object_view,
        row.subject_scope or WORD,
        row.negated,
    )
