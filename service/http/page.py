"""`GET /`: the page, static files of `service/web` that fetch nothing from anywhere else."""

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parents[1] / "web"
PREFIX = "/web/"
# Recordings are played from, and drawn in, the browser's memory (blob:). Nothing inline runs, and nothing is framed.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # asked for anew at each visit, and answered by 304 until the next release
}

router = APIRouter(include_in_schema=False)
# The client's file is a link to where it is published, `client/js`.
files = StaticFiles(directory=FOLDER, follow_symlink=True, check_dir=False)


@router.get("/", response_class=HTMLResponse)
async def page(request: Request) -> HTMLResponse:
    """The page, whose links lead back through a proxy's prefix; its modules find each other by themselves."""
    prefix = request.scope.get("root_path", "")
    text = (FOLDER / "index.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace("{base}", f"{prefix}/" if prefix else ""), headers=HEADERS)


@router.get(PREFIX + "{asset}", response_class=Response)
async def asset(asset: str, request: Request) -> Response:
    """A file of the page."""
    answer = await files.get_response(asset, request.scope)
    answer.headers.update(HEADERS)
    return answer
