"""Numbers and tables as the documents have them."""


def number(value, count=3):
    """Fixed notation with `count` digits that count."""
    if value == 0:
        return "0"
    text = f"{value:.{count}g}"
    return f"{float(text):.{max(count - 1 - _exponent(float(text)), 0)}f}" if 1e-3 <= abs(value) < 1e4 else text


def _exponent(value):
    return int(f"{value:e}".split("e")[1])


def percent(cosine):
    return f"{100 * cosine:.2f} %"


def markdown(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |",
                      *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def spread_text(figure):
    return number(figure["mean"]) + (f" ± {number(figure['spread'], 2)}" if "spread" in figure else "")


def fixed(value, digits):
    """Without the sign of what is rounded to 0."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def with_error(entry, figure, scale, digits):
    """A figure and its standard error, where they are there."""
    error = entry.get(f"{figure}_error")
    return "-" if figure not in entry else fixed(scale * entry[figure], digits) + (
        "" if error is None else f" ± {fixed(scale * error, digits)}")
