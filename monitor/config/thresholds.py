"""Thresholds as the settings write them: a signal and the value from which on it is high."""


def high_from(text: str) -> tuple[str, float]:
    """The signal and its threshold (0..1) of a text such as `confidence >= 0.9`. Raises ValueError for another."""
    name, sign, number = (part.strip() for part in text.rpartition(">="))
    threshold = float(number)
    if not (sign and name and 0 <= threshold <= 1):
        raise ValueError(text)
    return name, threshold
