"""Names as JSON has them."""


def camel(name: str) -> str:
    """Return a Python name as the document writes it: place_order, placeOrder."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
