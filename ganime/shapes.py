"""Names for annotated shapes: those of jaxtyping, which only type checkers need to have installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8, UInt64
else:
    Bool = Float = Int = UInt8 = UInt64 = Any  # annotations are never evaluated

__all__ = ["Bool", "Float", "Int", "UInt8", "UInt64"]
