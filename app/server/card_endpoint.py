"""The endpoint of the cards: GET /ganime/card.jpg with the query of a link to this page, or without one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.errors import explain_disk_errors, visitor_text
from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.limits import Busy
from app.recently_used import RecentlyUsed
from app.server.card import MAX_FACES, draw_card
from app.server.links import Link, read_link
from app.server.page_head import CARD_PATH
from app.server.words import DESCRIPTION
from ganime.drawing.recipe import Recipe
from ganime.errors import GanimeError, RecipeError
from ganime.shapes import UInt8

SIDE = 512  # px to which a face is sharpened
MAX_CARDS = 64  # in memory, of some 100 kB each
WEEK = {"Cache-Control": "public, max-age=604800"}  # a recipe always gives the same face
HOUR = {"Cache-Control": "public, max-age=3600"}  # another model may draw the page's own card soon
RETRY = {"Retry-After": "10"}  # seconds


class CardEndpoint:
    """Draws a card for each link that is asked for, one at a time, and keeps those that were used last.

    studio: draws the faces, in turns with everything else on the page.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio, self.limits = studio, studio.limits
        self.cards: RecentlyUsed[bytes] = RecentlyUsed(MAX_CARDS)

    def routes(self) -> list[Route]:
        """Return the routes to be served before Gradio's."""
        return [Route(f"/{CARD_PATH}", self.answer)]

    async def answer(self, request: Request) -> Response:
        """Answer with the card of a link. A link to a model that is not in memory gets the page's own card."""
        try:
            link = read_link(request.query_params)
        except RecipeError as error:
            return PlainTextResponse(visitor_text(error), 400)
        return await self.card(link, self.studio.visitor(request))

    async def card(self, link: Link | None, visitor: str) -> Response:
        """The card of a link, None for that of the page."""
        key, recipes = self.drawable(link)
        link = link if recipes else None
        name = "\n".join([link.title, *(recipe.to_json() for recipe in recipes)]) if link else ""
        headers = WEEK if link else HOUR
        try:
            card = self.cards.get(name)
            if card is None:
                self.limits.new_cards.check(visitor, "new cards")
                async with self.limits.card.turn(visitor):
                    card = self.cards.get(name) or await run_in_threadpool(self.drawn, key, link, recipes)
                self.cards.add(name, card)
        except Busy as error:
            return PlainTextResponse(str(error), 429, RETRY)
        except GanimeError as error:
            return PlainTextResponse(visitor_text(error), 400)
        return Response(card, media_type="image/jpeg", headers=headers)

    def drawable(self, link: Link | None) -> tuple[str, list[Recipe]]:
        """The key of the model that draws a link, and which of its faces are on the card.

        Those of the page's start model and none if no model in memory draws the first face.
        """
        library = self.studio.library
        if link is None:
            return library.start.key, []
        revision = link.recipes[0].revision
        key = library.public_key_of(revision)
        if key is None:
            return library.start.key, []
        recipes = [recipe for recipe in link.recipes if recipe.revision == revision]
        return key, [recipes[place] for place in places(len(recipes), link.kind == "walk")]

    def drawn(self, key: str, link: Link | None, recipes: Sequence[Recipe]) -> bytes:
        """Draw a card. Raises GanimeError with a text for the visitor."""
        with explain_disk_errors("This could not be read"):
            model = self.studio.open(key)
            if link is None:
                first = [recipe for seed in model.openers[:MAX_FACES] for recipe in model.recipes(1, seed)]
                return draw_card(self.faces(model, first), "Anime faces", DESCRIPTION)
            return draw_card(self.faces(model, recipes), link.title, link.caption)

    def faces(self, model: LoadedModel, recipes: Sequence[Recipe]) -> list[UInt8[np.ndarray, "h w 3"]]:
        """The faces of recipes, sharpened where the model's own pictures are smaller."""
        faces = model.draw(list(recipes)).faces
        return list(model.sharpened(faces, SIDE) if faces.shape[1] < SIDE else faces)


def places(count: int, spread: bool) -> list[int]:
    """Which of `count` faces are on the card: the first, or spread from the first to the last."""
    if count <= MAX_FACES or not spread:
        return list(range(min(count, MAX_FACES)))
    return [round(place) for place in np.linspace(0, count - 1, MAX_FACES)]
