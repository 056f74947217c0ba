"""The dock: the page's JavaScript calls no server function that is not offered."""

from __future__ import annotations

import re

from app.components.modules import MODULES
from app.server.face_endpoint import TOOLS
from tests.app.tabs.conftest import Functions

CALL = re.compile(r'\b(?:ask|use|request)\(\s*"(\w+)"')
OWN = ("job/", "on-hub/")  # components with functions of their own
SHARED = {name: source for name, source in MODULES.items() if not name.startswith(OWN)}


def test_every_function_that_the_page_calls_is_offered(functions: Functions) -> None:
    called = {name: set(CALL.findall(source)) for name, source in SHARED.items()}
    called["core/drawing.js"] -= TOOLS.keys()  # which the endpoint for faces answers
    assert set().union(*called.values()) <= functions.keys()
    assert called["core/model.js"] == {"start_model", "drawing_model", "known_model", "renewed_model"}
