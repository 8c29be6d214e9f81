"""Who asks, as far as the request says: there are no accounts, so a name is a label and no proof."""

from quart import request

from events.errors import MALFORMED, NOT_YOURS, Rejected

NAME_CHARS_MAX = 200
# A proxy that has asked for credentials says whose they are in the first; the others are clients' own words.
HEADERS = ("X-Remote-User", "User-Id")


def user() -> str:
    """The user's name, empty if none is given; raises `Rejected`."""
    named = [request.headers[header] for header in HEADERS if request.headers.get(header)]
    basic = request.authorization.username if request.authorization else None
    name = (named or [basic or ""])[0].strip()
    if len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise Rejected(MALFORMED, f"a user's name has up to {NAME_CHARS_MAX} printable characters")
    return name


def may(owner: str) -> None:
    """May whoever asks change what is the owner's? Raises `Rejected` (`NOT_YOURS`).

    What nobody owns is everybody's, and whoever gives no name may do everything.
    """
    name = user()
    if name and owner and name != owner:
        raise Rejected(NOT_YOURS, f"it belongs to {owner}, not to {name}")
