"""`kubernetes:yaml:decode`, by which ConfigFile and ConfigGroup of the SDK read YAML. Pure.

As Kubernetes reads YAML, through JSON: what looks like a date or a time of day stays a text, and so does a plain `=`.
"""

import re

import yaml

from providers.plugin.errors import RefusedError
from providers.plugin.wire import Bag


class _Loader(yaml.SafeLoader):
    pass


_TEXTS = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_TO_BASE_60 = re.compile(r"[-+]?[0-9_]+(:[0-9_.]+)+")


class _Form:
    """A number's form, without those of YAML 1.1 that Go does not read: `22:30` is no 1350."""

    def __init__(self, form: "re.Pattern[str]") -> None:
        self._form = form

    def match(self, written: str) -> object:
        return None if _TO_BASE_60.fullmatch(written) else self._form.match(written)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, _Form(form)) for tag, form in resolvers if tag not in _TEXTS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def decode(args: Bag) -> Bag:
    """`text`, one document or more, as `result`: a list of objects. Raises RefusedError saying where it is wrong."""
    text = args.values.get("text")
    if not isinstance(text, str):
        raise RefusedError("kubernetes:yaml:decode needs `text`")
    try:
        documents = [each for each in yaml.load_all(text, _Loader) if each is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise RefusedError(
            f"the YAML cannot be read{where}: {getattr(error, 'problem', None) or 'correct it'}"
        ) from None
    wrong = next((each for each in documents if not isinstance(each, dict)), None)
    if wrong is not None:
        raise RefusedError(
            f"the YAML holds a {type(wrong).__name__} where an object with apiVersion and kind is wanted"
        )
    return Bag(values={"result": documents}, secret=frozenset({"result"}) if args.secret else frozenset())
