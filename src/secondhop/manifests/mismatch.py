"""A value of the wrong type, or outside its enumeration: the words for it."""

from __future__ import annotations

from typing import Any

from .problems import near, shown, unsupported
from .shapes import ListOf, Scalar, Shape
from .yamltext import OddInt


def mismatch(value: Any, shape: Shape) -> tuple[str, str]:
    """Message and remedy for a value that a shape does not admit."""
    if isinstance(shape, Scalar) and shape.values and isinstance(value, str):
        guess = near(value, shape.values)
        remedy = f"Did you mean {guess}?" if guess else f"Write one of {', '.join(shape.values)}."
        return unsupported(value, shape.values), remedy
    if isinstance(value, OddInt):
        if isinstance(shape, Scalar) and int in shape.types:
            return f"is written {value.written}, which YAML reads as {int(value)}", (
                f"Write the number in plain decimal: {int(value)}, if that is meant."
            )
        message = f"must be {shape.what}, is the number {value.written}"
        return message, f'Quote it: "{value.written}".'
    message = f"must be {shape.what}, is {shown(value)}"
    if isinstance(shape, ListOf):
        return message, "Begin each entry with a dash."
    if isinstance(shape, Scalar) and str in shape.types and isinstance(value, (bool, int, float)):
        return message, "Quote it: YAML reads unquoted yes, no, on, off and numbers as no text."
    if isinstance(value, str) and value.isdigit():
        return message, f"Write it without quotes: {value}."
    return message, f"Write {shape.what}."
