"""One person: find her, explain her, hand out all that is kept of her, erase her."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhiyin.person.erase import Proof, erase_customer
    from zhiyin.person.explain import Answer, explain_customer
    from zhiyin.person.export import export_customer
    from zhiyin.person.find import Person, find_person

__all__ = [
    "Answer",
    "Person",
    "Proof",
    "erase_customer",
    "explain_customer",
    "export_customer",
    "find_person",
]

_HOMES = {
    "Answer": "explain",
    "Person": "find",
    "Proof": "erase",
    "erase_customer": "erase",
    "explain_customer": "explain",
    "export_customer": "export",
    "find_person": "find",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"zhiyin.person.{_HOMES[name]}"), name)
