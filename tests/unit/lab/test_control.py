"""Values of the model over a lab's socket: they come as they went, and nothing else comes."""

from __future__ import annotations

import base64
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from secondhop.errors import LabError
from secondhop.lab.control import packed, unpacked
from secondhop.manifests import build, reference_documents
from secondhop.model.fate import Fate, Seen
from secondhop.model.flow import Destination, Flow, Source
from secondhop.model.trace import Addresses, Frame, Met, Recording, RuleEvent, RuleKey

HERE = ip_address("10.42.0.2")
MET = Met(RuleKey("gz1", "ip", "nat", "KUBE-SERVICES", 3), "KUBE-SVC-X")


@pytest.mark.parametrize(
    "value",
    [
        Flow(Source("pod", "web", HERE, "gz1"), Destination("address", ip_address("::1"), 80)),
        Recording(
            "pod/web",
            Addresses("10.42.0.2", 1, "10.42.0.2", 80, "TCP"),
            Fate.DELIVERED,
            "",
            Seen("web", "10.42.0.2"),
            (Frame(1, "pod/web", "lo", True, b"\0"),),
            (RuleEvent(MET, 7, "jump"),),
            {MET: "-A KUBE-SERVICES"},
        ),
        Counter({Fate.DROPPED: 2}),
        build(reference_documents()).cluster,
    ],
)
def test_a_value_comes_as_it_went(value: object) -> None:
    assert unpacked(packed(value)) == value


class _Calls:
    """What a pickle can have called as it is read."""

    def __init__(self, what: Callable[..., object], *words: str) -> None:
        self._call = what, words

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return self._call


@pytest.mark.parametrize("what", [os.system, subprocess.Popen, eval, ip_address])
def test_nothing_else_is_called(what: Callable[..., object]) -> None:
    with pytest.raises(LabError, match="no value of the model"):
        unpacked(packed(_Calls(what, "true")))


@pytest.mark.parametrize("name", ["dataclass", "Literal.__class__", "ip_address", "Missing"])
def test_a_name_that_leads_out_of_the_model_is_refused(name: str) -> None:
    """A class by its module and dotted name, as pickle's protocol 4 has it."""
    module = b"secondhop.model.flow"
    words = b"".join(b"\x8c" + bytes([len(one)]) + one for one in (module, name.encode()))
    with pytest.raises(LabError, match="no value of the model"):
        unpacked(base64.b64encode(b"\x80\x04" + words + b"\x93.").decode())
