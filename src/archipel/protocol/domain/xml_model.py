# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed views of XML elements: one line a property, read and written by the same line.

::

    class Disk(Element, tag="disk"):
        device = Attribute("device", default="disk")
        path = Attribute("source/@file")
        order = Attribute("boot/@order", INTEGER)
        readonly = Presence("readonly")

A view holds no copy: it reads and changes the element under it, so whatever no property names survives. A path is
written from the view's element down: ``a/b`` is an element, ``a/b/@c`` an attribute of it. Setting ``None`` takes the
attribute or the element away, and with it those elements of the path that are then empty.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, Self, TypeVar, overload
from xml.etree import ElementTree as ET

from archipel.protocol.domain.xml_path import Path, content, insert
from archipel.protocol.domain.xml_values import INTEGER, MEMORY_UNITS, STRING, Converter, DomainXmlError, ValueT

GotT = TypeVar("GotT")
ElementT = TypeVar("ElementT", bound="Element")

# -- properties ----------------------------------------------------------------------------------------------------------


class Property(Generic[GotT]):
    """A value at a path of the viewed element; reading gives the default where it is absent."""

    def __init__(self, path: str, converter: Converter[Any] = STRING, *, default: Any = None) -> None:
        self.path = Path.of(path)
        self.converter: Converter[Any] = converter
        self.default: Any = default

    @overload
    def __get__(self, view: None, owner: type[Element]) -> Self: ...
    @overload
    def __get__(self, view: Element, owner: type[Element]) -> GotT: ...
    def __get__(self, view: Element | None, owner: type[Element]) -> Self | GotT:
        if view is None:
            return self
        text = self.path.read(view.element)
        value: GotT = self.default if text is None else self.converter.read(text, f"{view.element.tag}/{self.path}")
        return value

    def __set__(self, view: Element, value: GotT | None) -> None:
        if value is None:
            self.path.remove(view.element)
        else:
            self.path.write(view.element, self.converter.write(value))


class Text(Property[GotT]):
    """The text of a child element: ``Text("os/type")``."""

    @overload
    def __init__(self: Text[str | None], path: str) -> None: ...
    @overload
    def __init__(self: Text[str], path: str, *, default: str) -> None: ...
    @overload
    def __init__(self: Text[ValueT | None], path: str, converter: Converter[ValueT]) -> None: ...
    @overload
    def __init__(self: Text[ValueT], path: str, converter: Converter[ValueT], *, default: ValueT) -> None: ...
    def __init__(self, path: str, converter: Converter[Any] = STRING, *, default: Any = None) -> None:
        super().__init__(path, converter, default=default)


class Attribute(Property[GotT]):
    """An attribute of the element itself, ``Attribute("type")``, or of one below, ``Attribute("os/type/@arch")``."""

    @overload
    def __init__(self: Attribute[str | None], path: str) -> None: ...
    @overload
    def __init__(self: Attribute[str], path: str, *, default: str) -> None: ...
    @overload
    def __init__(self: Attribute[ValueT | None], path: str, converter: Converter[ValueT]) -> None: ...
    @overload
    def __init__(self: Attribute[ValueT], path: str, converter: Converter[ValueT], *, default: ValueT) -> None: ...
    def __init__(self, path: str, converter: Converter[Any] = STRING, *, default: Any = None) -> None:
        super().__init__(path if "@" in path else f"@{path}", converter, default=default)


class Memory:
    """An amount of memory: text with a unit attribute, read and written in KiB (rounded up, as libvirt does)."""

    def __init__(self, path: str) -> None:
        self.path = Path.of(path)
        self.unit = Path(self.path.steps, "unit")

    @overload
    def __get__(self, view: None, owner: type[Element]) -> Self: ...
    @overload
    def __get__(self, view: Element, owner: type[Element]) -> int | None: ...
    def __get__(self, view: Element | None, owner: type[Element]) -> Self | int | None:
        if view is None:
            return self
        text, unit = self.path.read(view.element), self.unit.read(view.element) or "KiB"
        if text is None:
            return None
        where = f"{view.element.tag}/{self.path}"
        if unit not in MEMORY_UNITS:
            raise DomainXmlError(f"{where}: unit {unit!r} is not one of {', '.join(MEMORY_UNITS)}")
        return -(-INTEGER.read(text, where) * MEMORY_UNITS[unit] // 1024)

    def __set__(self, view: Element, value: int | None) -> None:
        if value is None:
            self.path.remove(view.element)
        else:
            self.path.write(view.element, str(value))
            self.unit.write(view.element, "KiB")


class Presence:
    """An element that means something by being there: ``Presence("readonly")``."""

    def __init__(self, path: str) -> None:
        self.path = Path.of(path)

    @overload
    def __get__(self, view: None, owner: type[Element]) -> Self: ...
    @overload
    def __get__(self, view: Element, owner: type[Element]) -> bool: ...
    def __get__(self, view: Element | None, owner: type[Element]) -> Self | bool:
        return self if view is None else self.path.find(view.element) is not None

    def __set__(self, view: Element, value: bool | None) -> None:
        if value:
            self.path.make(view.element)
        else:
            self.path.remove(view.element)


class Values:
    """One attribute of a repeated element, in order: ``Values("os/boot/@dev")``."""

    def __init__(self, path: str) -> None:
        *way, tag, attribute = path.split("/")
        self.way, self.tag, self.attribute = Path(tuple(way), None), tag, attribute.removeprefix("@")

    @overload
    def __get__(self, view: None, owner: type[Element]) -> Self: ...
    @overload
    def __get__(self, view: Element, owner: type[Element]) -> tuple[str, ...]: ...
    def __get__(self, view: Element | None, owner: type[Element]) -> Self | tuple[str, ...]:
        if view is None:
            return self
        parent = self.way.find(view.element)
        return () if parent is None else tuple(child.get(self.attribute, "") for child in parent.findall(self.tag))

    def __set__(self, view: Element, values: tuple[str, ...]) -> None:
        parent = self.way.make(view.element)
        for child in parent.findall(self.tag):
            parent.remove(child)
        for value in values:
            Path((), self.attribute).write(insert(parent, ET.Element(self.tag)), value)


# -- views ---------------------------------------------------------------------------------------------------------------


class Element:
    """A typed view of one element; subclasses name the tag and declare properties."""

    tag: ClassVar[str]

    def __init_subclass__(cls, *, tag: str | None = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if tag:
            cls.tag = tag

    def __init__(self, element: ET.Element | None = None) -> None:
        self.element = ET.Element(self.tag) if element is None else element
        if self.element.tag != self.tag:
            raise DomainXmlError(f"expected <{self.tag}>, found <{self.element.tag}>")

    @classmethod
    def build(cls, **values: Any) -> Self:
        """Return a new element with these properties, set in the order given; ``None`` leaves one out."""
        view = cls()
        for name, value in values.items():
            if not hasattr(cls, name):
                raise TypeError(f"{cls.__name__} has no property {name!r}")
            if value is not None:
                setattr(view, name, value)
        return view

    def copy(self) -> Self:
        """Return a view of a deep copy."""
        return type(self)(copy.deepcopy(self.element))

    def to_text(self) -> str:
        """Return the XML as text, indented; what is compared or checked is what this text says."""
        element = copy.deepcopy(self.element)
        element.tail = None
        ET.indent(element)
        return ET.tostring(element, encoding="unicode")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and content(self.element) == content(other.element)

    __hash__ = None  # type: ignore[assignment]  # a view of something that changes has no hash

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {ET.tostring(self.element, encoding='unicode').strip()[:200]}>"


class Elements(Generic[ElementT]):
    """The children of one tag, as views; additions stand behind the last of them."""

    def __init__(self, root: ET.Element, way: Path, kind: type[ElementT]) -> None:
        self._root, self._way, self._kind = root, way, kind

    def __iter__(self) -> Iterator[ElementT]:
        parent = self._way.find(self._root)
        return iter([] if parent is None else [self._kind(child) for child in parent.findall(self._kind.tag)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: int) -> ElementT:
        return list(self)[index]

    def add(self, view: ElementT) -> ElementT:
        """Put an element behind those there are, and return it."""
        insert(self._way.make(self._root), view.element)
        return view

    def remove(self, view: ElementT) -> None:
        """Take exactly this element away."""
        self._way.make(self._root).remove(view.element)


class Children(Generic[ElementT]):
    """Repeated children: ``Children("devices/disk", Disk)``."""

    def __init__(self, path: str, kind: type[ElementT]) -> None:
        *way, tag = path.split("/")
        if tag != kind.tag:
            raise TypeError(f"{path} does not hold <{kind.tag}>")
        self.way, self.kind = Path(tuple(way), None), kind

    @overload
    def __get__(self, view: None, owner: type[Element]) -> Self: ...
    @overload
    def __get__(self, view: Element, owner: type[Element]) -> Elements[ElementT]: ...
    def __get__(self, view: Element | None, owner: type[Element]) -> Self | Elements[ElementT]:
        return self if view is None else Elements(view.element, self.way, self.kind)


class Child(Generic[ElementT]):
    """A single child, ``None`` where it is absent; setting replaces it in its place: ``Child("cpu", Cpu)``."""

    def __init__(self, path: str, kind: type[ElementT]) -> None:
        self.path, self.kind = Path.of(path), kind

    @overload
    def __get__(self, view: None, owner: type[Element]) -> Self: ...
    @overload
    def __get__(self, view: Element, owner: type[Element]) -> ElementT | None: ...
    def __get__(self, view: Element | None, owner: type[Element]) -> Self | ElementT | None:
        if view is None:
            return self
        found = self.path.find(view.element)
        return None if found is None else self.kind(found)

    def __set__(self, view: Element, value: ElementT | None) -> None:
        if value is None:
            self.path.remove(view.element)
            return
        parent = Path(self.path.steps[:-1], None).make(view.element)
        old = parent.find(self.path.steps[-1])
        if old is None:
            parent.append(value.element)
        else:
            parent[list(parent).index(old)] = value.element
