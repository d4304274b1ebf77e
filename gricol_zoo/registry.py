"""One registry class for every kind of part; third parties join by decorator, by call or by entry point."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from gricol_zoo.errors import GricolZooError

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of named items. Registering a name twice raises an error; an unknown name is answered with similar ones.

    Args:
        kind: what the table holds, in the singular, for messages ("backbone").
        group: the entry-point group that installed packages use to add to it ("gricol_zoo.backbones").
            An entry point's name is the registered name; it is imported only when that name is asked for.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self.aliases: dict[str, str] = {}
        self._items: dict[str, T] = {}
        self._entry_points: dict[str, EntryPoint] | None = None

    def add(self, name: str, item: T) -> T:
        """Add one item.

        Raises:
            GricolZooError: the name is taken.
        """
        if name in self._items:
            raise GricolZooError(
                f"A {self.kind} named {name!r} is already registered ({self._items[name]!r}). Choose another name."
            )
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a class or function to add it under ``name``."""
        return lambda item: self.add(name, item)

    def rename(self, old: str, new: str) -> None:
        """Keep the old form of a name working, with a warning."""
        self.aliases[old] = new

    def resolve(self, name: str) -> str:
        """Return the current form of a name; warn if it has changed."""
        if name not in self.aliases:
            return name
        new = self.aliases[name]
        warnings.warn(
            f"The {self.kind} {name!r} is now called {new!r}; the old name will be removed.", FutureWarning, stacklevel=3
        )
        return new

    def get(self, name: str) -> T:
        """Return the item of that name, importing the package that provides it if need be.

        Raises:
            GricolZooError: no such name (similar names are suggested), or the package that provides it fails to import.
        """
        name = self.resolve(name)
        if name not in self._items and name in self._plugins():
            self._load(self._plugins()[name])
        if name not in self._items:
            near = difflib.get_close_matches(name, self.names(), n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(self.names())}."
            raise GricolZooError(f"Unknown {self.kind} {name!r}. {hint}")
        return self._items[name]

    def names(self) -> list[str]:
        """Return every name, sorted, without importing any entry point."""
        return sorted({*self._items, *self._plugins()})

    def __contains__(self, name: object) -> bool:
        return name in self._items or name in self.aliases or name in self._plugins()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _plugins(self) -> dict[str, EntryPoint]:
        if self._entry_points is None:
            self._entry_points = {point.name: point for point in entry_points(group=self.group)}
        return self._entry_points

    def _load(self, point: EntryPoint) -> None:
        try:
            item: Any = point.load()
        except Exception as error:  # whatever a third party's import raises, name the package
            package = point.dist.name if point.dist else point.value
            raise GricolZooError(
                f"The {self.kind} {point.name!r} comes from the package {package!r}, which cannot be imported: {error}"
            ) from error
        # Importing the module may have run its decorator already.
        if self._items.get(point.name) is not item:
            self.add(point.name, item)
