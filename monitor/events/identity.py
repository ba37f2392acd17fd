"""A prediction id of any spelling becomes 16 bytes: the key of the join."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.void]
"""Ids of a batch: V16[n], 16 raw bytes each."""

KEY_PREFIX: Final = "caldrift:key:"
"""Begins an id that is the key itself in 32 hexadecimal digits, whatever the scope: what caldrift's own labels name."""

_HEX: Final = frozenset("0123456789abcdefABCDEF")
_DASHES: Final = (8, 13, 18, 23)


def event_id(prediction_id: str, model: str | None = None) -> bytes:
    """The 16 bytes that stand for a prediction id, those of a UUID where the text is one.

    A UUID in its canonical form (36 characters) or as 32 hexadecimal digits, in either case, keeps its value; any other
    text becomes its BLAKE2b-128 digest. With `model` (ids scoped by model) the digest is of model, a zero byte and id,
    unless the id is a key as `key_text` writes it.
    """
    if model is not None:
        if prediction_id.startswith(KEY_PREFIX):
            digits = prediction_id[len(KEY_PREFIX) :]
            if len(digits) == 32 and _HEX.issuperset(digits):
                return bytes.fromhex(digits)
        return blake2b(f"{model}\0{prediction_id}".encode(), digest_size=16).digest()
    size = len(prediction_id)
    if size == 36 and all(prediction_id[at] == "-" for at in _DASHES):
        digits = prediction_id.replace("-", "")
    else:
        digits = prediction_id
    if len(digits) == 32 and _HEX.issuperset(digits):
        return bytes.fromhex(digits)
    return blake2b(prediction_id.encode(), digest_size=16).digest()


def key_text(key: bytes) -> str:
    """The id that stands for the 16 bytes of a key where ids are scoped by model."""
    return KEY_PREFIX + key.hex()


def event_ids(prediction_ids: Sequence[str]) -> Ids:
    """`event_id` of a whole batch at once, V16[n]; fast where every id is a canonical UUID."""
    quick = _canonical(prediction_ids)
    raw = b"".join(map(event_id, prediction_ids)) if quick is None else quick
    return np.frombuffer(raw, dtype="V16")


def scoped_event_ids(prediction_ids: Sequence[str], models: Sequence[str]) -> Ids:
    """`event_id` of a whole batch where ids are scoped by model, V16[n]."""
    return np.frombuffer(b"".join(map(event_id, prediction_ids, models)), dtype="V16")


def _canonical(prediction_ids: Sequence[str]) -> bytes | None:
    """The raw bytes when every id is a canonical UUID, else None."""
    if set(map(len, prediction_ids)) != {36}:
        return None
    joined = "".join(prediction_ids)
    if not joined.isascii():
        return None
    text = np.frombuffer(joined.encode(), dtype=np.uint8).reshape(-1, 36)
    if not (text[:, _DASHES] == ord("-")).all():
        return None
    try:
        raw = bytes.fromhex(joined.replace("-", ""))
    except ValueError:
        return None
    return raw if len(raw) == 16 * len(prediction_ids) else None
