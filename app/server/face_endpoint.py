"""The endpoint that draws faces for the page's own JavaScript and answers in bytes, a quarter of the size of JSON.

A request is POST /ganime/TOOL (relative to the page) with Content-Type: application/json and one of these objects.
`key` is the key of the model that draws; a recipe is the JSON text that the page uses everywhere.

    draw     {"key", "recipes": [recipe, ...]}                     1 to 64 faces
    fresh    {"key", "count", "seed", "truncation", "clarity"}     1 to 64 faces; of every four seeds the clearest one
    roll     {"key", "recipe", "seeds", "locks"}                   faces of seeds, with what is locked taken from a face
    beside   {"key", "recipe", "count", "seed", "locks"}           the same, of every four seeds the clearest one
    vary     {"key", "recipe", "strength", "seed", "locks"?}       8 variations of a face
    steer    {"key", "recipe", "amounts": {name: -3..3}, "own"?}   one face, moved along directions
    breed    {"key", "recipes", "mutation", "seed"}                children of 2 to 16 faces
    mix      {"key", "a", "b", "c"}                                the face A - B + C
    between  {"key", "a", "b", "steps": 2..64}                     faces on the way from A to B, both left out
    sharp    {"key", "recipe"}                                     one face at 512 px

The answer is 200, application/octet-stream: the length of the head as 4 bytes, most significant first; the head, JSON
in UTF-8; then, to the end, one JPEG picture.

    {"key", "model", "revision", "recipes": [recipe, ...], "columns", "side"}

Face number i of `recipes` is the square of `side` px in column i % columns and row i // columns of the picture. The
picture is for looking at; downloads are drawn again from the recipe.

A request that has to wait for its turn is told its place: before the head come others, again as length and JSON,
{"ahead": requests that are served before, "seconds": about how long it has to wait}, one a second.

An error is JSON, {"error": text for the visitor}, with the status 400 for a request that cannot be used, 404 for an
unknown tool or a deleted job (then with "missing": true), 403 for other sites, 413 and 415 for other bodies, and 503
with Retry-After where the wait would be long. Behind heads that say a place it is a head, too, with its "status".
`requestFaces` in app/components/shared/face-requests.js is the other half.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import JobMissing, explain_disk_errors, visitor_text
from app.faces.incoming import Amounts, OwnVectors, RecipeText, RecipeTexts, parse_recipes
from app.faces.library import PRIVATE_PREFIXES
from app.faces.loaded_model import MAX_FACES, NO_VECTORS, Drawn, LoadedModel, check_count
from app.faces.studio import Studio
from app.limits import Busy
from app.server.face_turns import MEDIA_TYPE, FaceTurns, headed, name_of
from app.server.origins import from_another_site, refuse_other_sites
from app.settings import MEGABYTE
from ganime.drawing.clarity import best_seeds
from ganime.errors import GanimeError, RecipeError
from ganime.images import SHEET_COLUMNS, jpeg_bytes, sheet
from ganime.text import printable

MAX_BODY = MEGABYTE  # 64 recipes with vectors of the longest kind have 0.8 MB
MAX_PIXELS = 64 * 256 * 256  # of a picture
QUALITY = 87  # of JPEG, 1 to 95
SHARP_SIDE = 512  # px
RETRY_SECONDS = 2
ModelKey = Annotated[str, Field(max_length=200)]
Locks = Annotated[list[str], Field(max_length=16)]


class Tool(BaseModel):
    """What a request asks for; values come from the network and are checked against the type hints."""

    model_config = ConfigDict(extra="forbid")
    sharpens: ClassVar[bool] = False
    key: ModelKey

    def faces(self, model: LoadedModel) -> Drawn:
        """Draw it. Raises GanimeError with a text for the visitor."""
        raise NotImplementedError


class Draw(Tool):
    recipes: RecipeTexts

    def faces(self, model: LoadedModel) -> Drawn:
        return model.draw(parse_recipes(self.recipes))


class Fresh(Tool):
    count: int
    seed: int
    truncation: float
    clarity: float

    def faces(self, model: LoadedModel) -> Drawn:
        return model.fresh(self.count, self.seed, self.truncation, self.clarity)


class Roll(Tool):
    recipe: RecipeText
    seeds: Annotated[list[int], Field(max_length=MAX_FACES)]
    locks: Locks

    def faces(self, model: LoadedModel) -> Drawn:
        [recipe] = parse_recipes([self.recipe])
        return model.roll_beside(recipe, self.seeds, self.locks)


class Beside(Tool):
    recipe: RecipeText
    count: int
    seed: int
    locks: Locks

    def faces(self, model: LoadedModel) -> Drawn:
        [recipe] = parse_recipes([self.recipe])
        seeds = best_seeds(model.checkpoint, self.seed, check_count(self.count) * model.best_of, best_of=1)
        return model.roll_beside(recipe, seeds, self.locks, model.best_of)


class Vary(Tool):
    recipe: RecipeText
    strength: float
    seed: int
    locks: Locks = []

    def faces(self, model: LoadedModel) -> Drawn:
        [recipe] = parse_recipes([self.recipe])
        return model.vary(recipe, self.strength, self.seed, locks=self.locks)


class Steer(Tool):
    recipe: RecipeText
    amounts: Amounts
    own: OwnVectors | None = None

    def faces(self, model: LoadedModel) -> Drawn:
        [recipe] = parse_recipes([self.recipe])
        return model.steer(recipe, self.amounts, self.own or NO_VECTORS)


class Breed(Tool):
    recipes: RecipeTexts
    mutation: float
    seed: int

    def faces(self, model: LoadedModel) -> Drawn:
        return model.breed(parse_recipes(self.recipes), self.mutation, self.seed)


class Mix(Tool):
    a: RecipeText
    b: RecipeText
    c: RecipeText

    def faces(self, model: LoadedModel) -> Drawn:
        return model.arithmetic(*parse_recipes([self.a, self.b, self.c]))


class Between(Tool):
    a: RecipeText
    b: RecipeText
    steps: int

    def faces(self, model: LoadedModel) -> Drawn:
        a, b = parse_recipes([self.a, self.b])
        return model.between(a, b, self.steps)


class Sharp(Tool):
    sharpens: ClassVar[bool] = True
    recipe: RecipeText

    def faces(self, model: LoadedModel) -> Drawn:
        drawn = model.draw(parse_recipes([self.recipe]))
        [picture] = model.sharpened(drawn.faces, SHARP_SIDE)
        return Drawn(drawn.recipes, picture[None])


TOOLS: dict[str, type[Tool]] = {
    "draw": Draw,
    "fresh": Fresh,
    "roll": Roll,
    "beside": Beside,
    "vary": Vary,
    "steer": Steer,
    "breed": Breed,
    "mix": Mix,
    "between": Between,
    "sharp": Sharp,
}


class FaceEndpoint:
    """Answers the requests described above. studio: draws the faces."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.limits, self.turns = studio, studio.limits, FaceTurns()

    def routes(self) -> list[Route]:
        """Return the routes to be served before Gradio's."""
        return [Route("/ganime/{tool}", self.answer, methods=["POST"])]

    async def answer(self, request: Request) -> Response:
        """Draw what a request asks for."""
        if from_another_site(request):
            return refuse_other_sites()
        tool = TOOLS.get(request.path_params["tool"])
        if tool is None:
            return refusal(f"There is no such tool. There are {', '.join(TOOLS)}.", 404)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refusal("Send JSON, with Content-Type: application/json.", 415)
        body = await request.body()
        if len(body) > MAX_BODY:
            return refusal(f"A request for faces may have at most {MAX_BODY:,} bytes.", 413)
        try:
            asked = tool.model_validate_json(body)
        except ValidationError as error:
            return refusal(f"This request cannot be used. {first_fault(error)}", 400)
        keep = not asked.key.startswith(PRIVATE_PREFIXES)
        turns = self.limits.sharpen if asked.sharpens else self.limits.draw
        name, make = name_of(request.path_params["tool"], body), partial(self.draw, asked)
        try:
            return await self.turns.answer(turns, self.studio.visitor(request), name, make, keep)
        except Busy as error:
            return refusal(str(error), 503, {"Retry-After": str(RETRY_SECONDS)})

    def draw(self, asked: Tool) -> Response:
        """The faces, or the reason why there are none."""
        try:
            with explain_disk_errors("This could not be read"):
                model = self.studio.open(asked.key)
                body = packed(model, asked.faces(model))  # encoding has its turn, too
        except JobMissing as error:
            return refusal(visitor_text(error), 404, missing=True)
        except GanimeError as error:
            return refusal(visitor_text(error), 400)
        return Response(body, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def packed(model: LoadedModel, drawn: Drawn) -> bytes:
    """Faces as the bytes of an answer. Raises RecipeError for more pixels than one picture may have."""
    if drawn.faces[..., 0].size > MAX_PIXELS:
        most = MAX_PIXELS // model.image_size**2
        raise RecipeError(f"At most {most} faces of this size are drawn at a time; got {len(drawn.faces)}.")
    columns = min(SHEET_COLUMNS, len(drawn.faces))
    head = {
        "key": model.key,
        "model": model.checkpoint.name,
        "revision": model.checkpoint.revision,
        "recipes": [recipe.to_json() for recipe in drawn.recipes],
        "columns": columns,
        "side": drawn.faces.shape[1],
    }
    return headed(head, jpeg_bytes(sheet(drawn.faces, columns), QUALITY))


def refusal(text: str, status: int, headers: dict[str, str] | None = None, missing: bool = False) -> Response:
    """An error as JSON. missing: whether a job was deleted."""
    return JSONResponse({"error": text} | ({"missing": True} if missing else {}), status, headers)


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong with a request, without the value that was sent."""
    [fault, *_] = error.errors(include_url=False, include_context=False, include_input=False)
    place = printable(".".join(map(str, fault["loc"])), 40)
    return f"{place}: {fault['msg']}." if place else f"{fault['msg']}."
