"""What a request says: how to write, and the object, against its schema and the stored one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ..client.api import Object
from ..errors import ApiError
from ..manifests.api.field import FieldError, not_supported
from ..manifests.api.field import invalid as field_error
from .kinds import KINDS, Kind, Subresource
from .refusals import bad_request, conflict, forbidden, invalid, not_found
from .schema import Mistyped, decode
from .store import Key, Store

Validation: TypeAlias = Literal["Strict", "Warn", "Ignore"]


@dataclass(frozen=True, slots=True)
class Options:
    """How to write. dry_run: do everything but store. validation: what becomes of fields that the
    kind does not know, and of those that the request's text says twice (doubled: their paths).
    manager: who owns what is written; the lab's own components name none. force: an apply takes
    what others own."""

    dry_run: bool = False
    validation: Validation = "Warn"
    doubled: Sequence[str] = ()
    manager: str = ""
    force: bool = False


PLAIN = Options()


def dry_run_rules(stages: Sequence[str]) -> Iterator[FieldError]:
    """Refusals of a dryRun."""
    if {*stages} - {"All"}:
        yield not_supported(("dryRun",), [*stages], ("All",))


def decoded(
    what: Kind | Subresource, value: object, options: Options, patch: object = None
) -> tuple[Object, list[str]]:
    """A request's object, and warnings about it. patch: what made it of the stored one. Raises
    ApiError 400; of a patch, 422."""
    why = ""
    unknown: list[str] = []
    given: Object = value if isinstance(value, dict) else {}
    version, kind = given.get("apiVersion"), given.get("kind")
    if version and version != what.api_version:
        why = f"the API version in the data ({version}) does not match the expected API version "
        raise bad_request(f"{why}({what.api_version})")
    if kind and kind != what.kind:
        raise bad_request(f'{kind} in version "{what.version}" cannot be handled as a {what.kind}')
    try:
        given, unknown = decode(what.definition, value)
    except Mistyped as error:
        why = str(error)
    told = [f'duplicate field "{path}"' for path in options.doubled]
    told += [f'unknown field "{path}"' for path in unknown]
    if told and options.validation == "Strict":
        why = f"strict decoding error: {', '.join(told)}"
    if why and patch is not None:
        raise invalid("", "", [field_error(("patch",), patch, why)])
    if why:
        raise bad_request(
            f'{what.kind} in version "{what.version}" cannot be handled as a {what.kind}: {why}'
        )
    given |= {"apiVersion": what.api_version, "kind": what.kind}
    return given, told if options.validation == "Warn" else []


def configuration(kind: Kind, name: str, config: object, options: Options) -> Object:
    """The object of an apply. Raises ApiError 400."""
    found, _ = decoded(kind, config, replace(options, validation="Ignore"))
    _, unknown = decode(kind.definition, config)
    said = found.setdefault("metadata", {})
    if unknown:
        what = f"{said.get('namespace', '')}/{name}; {kind.api_version}, Kind={kind.kind}"
        why = f".{unknown[0]}: field not declared in schema"
        raise bad_request(f"failed to create typed patch object ({what}): {why}")
    if said.setdefault("name", name) != name:
        why = f"the name of the object ({said['name']}) does not match the name on the URL ({name})"
        raise bad_request(why)
    if "managedFields" in said:
        raise bad_request("metadata.managedFields must be nil")
    return found


def expect_namespace(new: Object, namespace: str) -> None:
    """Raises ApiError 400 when an object says another namespace than the request."""
    said = (new.get("metadata") or {}).get("namespace")
    if said and said != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def expect_name(what: Subresource, value: Object, name: str) -> None:
    """Raises ApiError 400 when what is done to an object is meant for another one."""
    if (value.get("metadata") or {}).get("name") != name:
        raise bad_request(f"name in URL does not match name in {what.kind} object")


def expect_new(value: Object) -> None:
    """Raises ApiError 500, as a real server does, when an object to be made has a revision."""
    if (value.get("metadata") or {}).get("resourceVersion"):
        raise ApiError(500, "", "resourceVersion should not be set on objects to be created")


def expect_room(store: Store, kind: Kind, new: Object, namespace: str) -> None:
    """Raises ApiError unless the namespace of a new object is there to stay."""
    if not kind.namespaced:
        return
    if not namespace:
        raise bad_request("an empty namespace may not be set during creation")
    spaces = KINDS["Namespace"]
    home = store.get(Key(spaces.resource, "", namespace))
    if home is None:
        raise not_found(spaces, namespace)
    if home["status"].get("phase") == "Terminating":
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        why = f"unable to create new content in namespace {namespace} because it is being "
        name = (new.get("metadata") or {}).get("name", "")
        raise forbidden(kind, name, why + "terminated", [cause])


def expect_same(kind: Kind, new: Object, old: Object, *, by_revision: bool) -> None:
    """Raises ApiError 400, 409 or 422 when a write means another object, or as it was once."""
    said, stored = new.get("metadata") or {}, old["metadata"]
    name = stored["name"]
    if not said.get("name"):
        why = f"the name of the object ({name} based on URL) was undeterminable: name must be "
        raise bad_request(f"{why}provided")
    if said["name"] != name:
        why = f"the name of the object ({said['name']}) does not match the name on the URL ({name})"
        raise bad_request(why)
    expect_namespace(new, stored.get("namespace", ""))
    if said.get("uid", stored["uid"]) != stored["uid"]:
        why = "Precondition failed: UID in precondition: {}, UID in object meta: {}"
        raise conflict(kind, name, why.format(said["uid"], stored["uid"]))
    revision = said.get("resourceVersion")
    if by_revision and not revision:
        path = ("metadata", "resourceVersion")
        raise invalid(
            kind.qualified, name, [field_error(path, 0, "must be specified for an update")]
        )
    if revision and revision != stored["resourceVersion"]:
        raise conflict(kind, name)
