# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed objects on the wire: a payload is a frozen dataclass whose fields say where in the XML they stand.

::

    @payload
    class SetMemory(Request[None], namespace=ns.VM_CONTROL, action="memory"):
        value: int = attribute(at_least(10))  # KiB

The same declaration reads and writes, checks what comes in, and names the field in its error. Elements are matched by
local name only: founding clients put some payloads in a namespace and others in none.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, TypeVar, dataclass_transform
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest
from archipel.protocol.xml import child_named, children_named, local_name, namespace_of, nests_deeper, without_namespaces

AnswerT = TypeVar("AnswerT")
PayloadT = TypeVar("PayloadT", bound="Payload")
ClassT = TypeVar("ClassT", bound=type)
Check = Callable[[Any], str | None]
"""Returns what is wrong with a value, or ``None``."""

DEEPEST: Final = 200  # elements in one another; libvirt's documents nest a dozen

_PLACE: Final = "archipel.place"
_NAME: Final = "archipel.name"
_CHECKS: Final = "archipel.checks"
_WORDS: Final = "archipel.words"


# -- what a field may be ------------------------------------------------------------------------------------------------


def attribute(*checks: Check, name: str | None = None, default: Any = dataclasses.MISSING, words: tuple[str, str] = ("0", "1")) -> Any:
    """Declare an attribute; ``words`` are what a ``bool`` is written as (both spellings of the founders are read)."""
    return _field("attribute", name, checks, default, words)


def text(*checks: Check, default: Any = dataclasses.MISSING) -> Any:
    """Declare the text of the element."""
    return _field("text", None, checks, default)


def text_child(*checks: Check, name: str | None = None, default: Any = dataclasses.MISSING) -> Any:
    """Declare the text of a child element."""
    return _field("text_child", name, checks, default)


def child(name: str | None = None, *, default: Any = dataclasses.MISSING) -> Any:
    """Declare one child: a payload, or any XML (``ET.Element``), which loses the stanza's namespace when read."""
    return _field("child", name, (), default)


def children() -> Any:
    """Declare all children of one payload class, in order; none is an empty tuple."""
    return dataclasses.field(default=(), metadata={_PLACE: "children", _NAME: None, _CHECKS: ()})


def _field(place: str, name: str | None, checks: tuple[Check, ...], default: Any, words: tuple[str, str] = ("0", "1")) -> Any:
    return dataclasses.field(default=default, metadata={_PLACE: place, _NAME: name, _CHECKS: checks, _WORDS: words})


def at_least(least: int) -> Check:
    """Check that a number is ``least`` or more."""
    return lambda value: None if value >= least else f"must be {least} or more, not {value}"


def at_most(most: int) -> Check:
    """Check that a number is ``most`` or less."""
    return lambda value: None if value <= most else f"must be {most} or less, not {value}"


def at_most_characters(most: int) -> Check:
    """Check that a text has ``most`` characters or fewer."""
    return lambda value: None if len(value) <= most else f"must have {most} characters at most, not {len(value)}"


def not_empty(value: str) -> str | None:
    """Check that a text holds more than blanks."""
    return None if value.strip() else "must not be empty"


# -- classes ------------------------------------------------------------------------------------------------------------


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attribute, text, text_child, child, children))
def payload(cls: ClassT) -> ClassT:
    """Make ``cls`` a frozen, keyword-only dataclass that can be read from and written to XML.

    What :class:`Payload` has for all is not made anew for each of some hundred classes: that would double what it takes to import them.
    """
    dataclasses.dataclass(frozen=True, kw_only=True, repr=False, eq=False)(cls)
    return cls


class Payload:
    """An element with a fixed name; subclasses give it as ``tag``."""

    tag: ClassVar[str] = ""

    def __init_subclass__(cls, *, tag: str | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if tag is not None:
            cls.tag = tag

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in self._content())})"

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, Payload) and type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._content()))

    def _content(self) -> tuple[tuple[str, Any], ...]:
        return tuple((item.name, getattr(self, item.name)) for item in dataclasses.fields(self))  # type: ignore[arg-type] # each subclass is one

    @classmethod
    def read(cls: type[PayloadT], element: ET.Element) -> PayloadT:
        """Return the payload that ``element`` holds; :class:`BadRequest` names the field that is wrong."""
        return cls(**{item.name: item.read(element) for item in fields_of(cls)})

    def write(self) -> ET.Element:
        """Return the element, its tags without namespace: they inherit that of the query."""
        element = ET.Element(self.tag)
        for item in fields_of(type(self)):
            item.write(element, getattr(self, item.name))
        return element


class Request(Payload, Generic[AnswerT], tag="archipel"):
    """A command: ``<archipel action='...'/>`` in a query, answered by ``AnswerT``.

    ``None`` stands for an empty answer, a :class:`Payload` for one element, ``tuple[Payload, ...]`` for any number of
    them, ``Payload | None`` for one or none, ``ET.Element`` for XML of libvirt. ``reads``: it changes nothing.
    """

    namespace: ClassVar[str]
    action: ClassVar[str]
    reads: ClassVar[bool]

    def __init_subclass__(cls, *, namespace: str = "", action: str = "", reads: bool = False, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if action:
            cls.namespace, cls.action, cls.reads = namespace, action, reads

    def write(self) -> ET.Element:
        """Return the ``<archipel/>`` element with its action."""
        element = super().write()
        element.set("action", self.action)
        return element

    @classmethod
    def answer_type(cls) -> Any:
        """Return the type that this request is answered with, as declared."""
        for base in vars(cls)["__orig_bases__"]:
            if typing.get_origin(base) is Request:
                return typing.get_args(base)[0]
        raise TypeError(f"{cls.__name__} does not say what it is answered with")

    @classmethod
    def read_answer(cls, query: ET.Element) -> AnswerT:
        """Return the typed answer that stands in ``query``."""
        return typing.cast(AnswerT, _read_answer(cls.answer_type(), query))


Answer = None | Payload | tuple[Payload, ...] | ET.Element
"""Whatever a command may answer."""


def write_answer(answer: Answer) -> list[ET.Element]:
    """Return the children of the answer's query."""
    if answer is None:
        return []
    if isinstance(answer, ET.Element):
        return [answer]
    if isinstance(answer, Payload):
        return [answer.write()]
    return [item.write() for item in answer]


def _read_answer(shape: Any, query: ET.Element) -> Any:
    if shape is None or shape is type(None):
        return None
    if typing.get_origin(shape) is tuple:
        item = typing.get_args(shape)[0]
        return tuple(item.read(element) for element in children_named(query, item.tag))
    if shape is ET.Element:
        return foreign_xml(query[0]) if len(query) else _missing("XML")
    wanted, optional = _optional(shape)
    element = child_named(query, wanted.tag)
    if element is None:
        return None if optional else _missing(wanted.tag)
    return wanted.read(element)


def _missing(name: str) -> Any:
    raise BadRequest(f"the answer holds no <{name}>")


def foreign_xml(element: ET.Element) -> ET.Element:
    """Return a copy of XML that travelled in a stanza without the namespaces it inherited there; others stay (qemu's, say).

    Raises :class:`BadRequest` for what nests so deep that whoever walks through it would run out of stack.
    """
    if nests_deeper(element, DEEPEST):
        raise BadRequest(f"{local_name(element.tag)}: nests more than {DEEPEST} elements")
    inherited = frozenset({namespace_of(element.tag), ns.CLIENT, ns.UNDECLARED})
    return without_namespaces(element, only=inherited)


# -- fields -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Field:
    """One field of a payload class: its place in the XML, its type, its checks."""

    name: str
    xml_name: str
    place: str
    type: Any
    optional: bool
    checks: tuple[Check, ...]
    default: Any
    words: tuple[str, str]

    def read(self, element: ET.Element) -> Any:
        return _READERS[self.place](self, element)

    def write(self, element: ET.Element, value: Any) -> None:
        if value is not None:
            _WRITERS[self.place](self, element, value)

    def convert(self, raw: str | None) -> Any:
        """Return the value for ``raw``, checked; a missing one is the default if there is one."""
        if raw is None:
            return self.absent()
        value = _CONVERTERS[self.type](self, raw)
        for check in self.checks:
            wrong = check(value)
            if wrong:
                raise BadRequest(f"{self.xml_name}: {wrong}")
        return value

    def absent(self) -> Any:
        if self.default is not dataclasses.MISSING:
            return self.default
        raise BadRequest(f"{self.xml_name}: is missing")


_cache: dict[type, tuple[_Field, ...]] = {}


def fields_of(cls: type) -> tuple[_Field, ...]:
    """Return the fields of a payload class, in order."""
    if cls not in _cache:
        hints = typing.get_type_hints(cls)
        _cache[cls] = tuple(_describe(item, hints[item.name]) for item in dataclasses.fields(cls))
    return _cache[cls]


def _describe(item: dataclasses.Field[Any], hint: Any) -> _Field:
    inner, optional = _optional(hint)
    if typing.get_origin(inner) is tuple:
        inner = typing.get_args(inner)[0]
    meta = item.metadata
    return _Field(
        item.name, meta[_NAME] or item.name, meta[_PLACE], inner, optional, meta[_CHECKS], item.default, meta.get(_WORDS, ("0", "1"))
    )


def _optional(hint: Any) -> tuple[Any, bool]:
    """Split ``X | None`` into ``X`` and whether ``None`` was allowed."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return rest[0], len(rest) < len(typing.get_args(hint))
    return hint, False


def _to_int(field: _Field, raw: str) -> int:
    text = raw.strip(" \t\r\n")
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else _refuse(field, raw, "a whole number")


def _to_float(field: _Field, raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        return _refuse(field, raw, "a number")


def _to_bool(field: _Field, raw: str) -> bool:
    word = raw.strip().lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else _refuse(field, raw, "0 or 1")


def _to_uuid(field: _Field, raw: str) -> uuid.UUID:
    try:
        return uuid.UUID(raw.strip())
    except ValueError:
        return _refuse(field, raw, "a UUID")


def _refuse(field: _Field, raw: str, wanted: str) -> typing.NoReturn:
    raise BadRequest(f"{field.xml_name}: must be {wanted}, not {raw[:_LONGEST_QUOTE]!r}")


# int() would also take underscores and other scripts' digits; 20 are those of 2**64, more than any figure of libvirt's has.
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_LONGEST_QUOTE: Final = 40  # of a wrong value in an error text
_TRUE: Final = frozenset({"1", "true", "yes", "y", "oui", "o", "on"})  # the founders' words for yes, and XML Schema's
_FALSE: Final = frozenset({"0", "false", "no", "n", "non", "off", ""})

_CONVERTERS: dict[Any, Callable[[_Field, str], Any]] = {
    str: lambda _field, raw: raw,
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    uuid.UUID: _to_uuid,
}


def _read_text_child(field: _Field, element: ET.Element) -> Any:
    found = child_named(element, field.xml_name)
    return field.convert(None if found is None else found.text or "")


def _read_child(field: _Field, element: ET.Element) -> Any:
    found = child_named(element, field.xml_name)
    if found is None:
        return field.absent()
    if field.type is ET.Element:
        return foreign_xml(found)
    return field.type.read(found)


def _format(field: _Field, value: Any) -> str:
    return field.words[value] if isinstance(value, bool) else str(value)


def _write_text(field: _Field, element: ET.Element, value: Any) -> None:
    element.text = _format(field, value)


def _write_text_child(field: _Field, element: ET.Element, value: Any) -> None:
    ET.SubElement(element, field.xml_name).text = _format(field, value)


_READERS: dict[str, Callable[[_Field, ET.Element], Any]] = {
    "attribute": lambda field, element: field.convert(element.get(field.xml_name)),
    "text": lambda field, element: field.convert(element.text or ""),
    "text_child": _read_text_child,
    "child": _read_child,
    "children": lambda field, element: tuple(field.type.read(found) for found in children_named(element, field.type.tag)),
}

_WRITERS: dict[str, Callable[[_Field, ET.Element, Any], None]] = {
    "attribute": lambda field, element, value: element.set(field.xml_name, _format(field, value)),
    "text": _write_text,
    "text_child": _write_text_child,
    "child": lambda _field, element, value: element.append(value if isinstance(value, ET.Element) else value.write()),
    "children": lambda _field, element, values: element.extend([value.write() for value in values]),
}
