"""Templates of addresses: their places in braces, and that no secret stands in them.

Settings lie in git, in `dvc.lock` and in messages. So a password or a token is never part of a
template: it stands in an environment variable, and the template names the variable.
"""

import re
from collections.abc import Iterator
from string import Formatter
from urllib.parse import unquote

PLACES = ("id", "name", "country", "city", "port")
_VARIABLE = re.compile(r"env\[([A-Za-z_][A-Za-z0-9_]*)\]")
_FILLED = re.compile(rf"(\{{({'|'.join(PLACES)}|{_VARIABLE.pattern})\}})+")
# Scheme, what stands before the `@` of the host, host with port, all that follows.
_ADDRESS = re.compile(r"(\w[\w+.-]*://)(?:([^/?#]*)@)?([^/?#]*)(.*)", re.DOTALL)
_PORT = re.compile(r"(\[.*\]|[^:]*)(:(\d+|\{[^{}]*\})?)?", re.DOTALL)
_QUERY = re.compile(r"([?&;#])([^=&;#?\s]*)=([^&;#\s]*)")
_SECRET = re.compile(
    r"pass|pwd|secret|token|session|sessid|cookie|credential|signature|hmac|authorization|oauth"
    r"|bearer|jwt|(api|app|access|account|client|private).?key|(^|[^a-z])(key|sig|auth|pw)$",
    re.IGNORECASE,
)
_INNER_USER = re.compile(r"//([^/?#\s]*@)")
"""Of an address within an address, as a proxy or a gateway takes it."""
_AT = "(@|%40|\uff20|\ufe6b)"
"""What a library may take for an `@`: coded, or as Unicode has it for other widths."""


def fault_of(template: str) -> str:
    """What is wrong with a template, in words that show no secret; empty where nothing is.

    Example:
        >>> fault_of("https://{env[USER]}:{env[PASSWORD]}@example.org/{id}?token={env[TOKEN]}")
        ''
        >>> fault_of("https://me:hunter2@example.org/{id}")
        'found a password in https://***@example.org/{id}; settings stand in git and in ...'
    """
    try:
        places = list(_places(template))
    except ValueError as error:
        return f"found {masked(template)}, wanted an address with places in braces ({error})"
    if not all(place in PLACES or _VARIABLE.fullmatch(place) for place in places):
        known = ", ".join(f"{{{place}}}" for place in PLACES)
        return (
            f"found {masked(template)}, wanted an address with no places but {known} and "
            "{env[NAME]}, an environment variable"
        )
    if what := _secret(template):
        return (
            f"found {what} in {masked(template)}; settings stand in git and in dvc.lock: put it "
            "into an environment variable and write {env[NAME]} in its place"
        )
    scheme, _, host, rest = split(template)
    if not _PORT.fullmatch(host):
        # What stands there may be a password, or a part of one.
        shown = masked(f"{scheme}***{rest}")
        return f"found {shown}, wanted an address whose port is a number"
    return ""


def variables(template: str) -> list[str]:
    """The environment variables that a template names, each once.

    Example:
        >>> variables("https://{env[USER]}:{env[PASSWORD]}@example.org/{id}")
        ['USER', 'PASSWORD']
    """
    found = (_VARIABLE.fullmatch(place) for place in _places(template))
    return list(dict.fromkeys(match[1] for match in found if match))


def masked(text: str) -> str:
    """An address, or a text with one in it, without what may be a secret.

    Example:
        >>> masked("http://me:hunter2@example.org/a?v={id}&key=abc")
        'http://***@example.org/a?v={id}&key=***'
    """
    # Up to the last `@`, since a slash in a password seems to end it earlier.
    begin = "//" if "//" in text else ""
    hidden = re.sub(f"{begin}.*{_AT}", rf"{begin}***\1", text, count=1, flags=re.DOTALL)
    return _QUERY.sub(lambda found: f"{found[1]}{found[2]}={_shown(found[3])}", hidden)


def split(template: str) -> tuple[str, str, str, str]:
    """A template as `(scheme, user and password, host and port, rest)`; joined it is the template.

    Example:
        >>> split("https://me:{env[KEY]}@example.org/{id}")
        ('https://', 'me:{env[KEY]}@', 'example.org', '/{id}')
    """
    found = _ADDRESS.fullmatch(template)
    if found is None:
        return "", "", "", template
    scheme, user, host, rest = found.groups()
    return scheme, "" if user is None else f"{user}@", host, rest


def _places(template: str) -> Iterator[str]:
    """What stands in the braces, with all that a format string may add to a name."""
    for _, name, form, conversion in Formatter().parse(template):
        if name is not None:
            yield name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")


def _secret(template: str) -> str:
    """Which secret a template holds, in words; empty where there is none."""
    scheme, user, _, rest = split(template)
    if not scheme and "@" in template:
        return "an '@' but no scheme, or a password,"
    for found in (user, *_INNER_USER.findall(unquote(rest))):
        name, colon, password = found.removesuffix("@").partition(":")
        if found and not (
            _FILLED.fullmatch(password) or (not password and _FILLED.fullmatch(name))
        ):
            return "a password" if colon else "a user or a token"
    for _, key, value in _QUERY.findall(rest):
        if value and _SECRET.search(unquote(key)) and not _FILLED.fullmatch(value):
            return f"a value of '{key}'"
    return ""


def _shown(value: str) -> str:
    return value if not value or _FILLED.fullmatch(value) else "***"
