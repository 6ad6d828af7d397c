"""`GET /docs`: the interface to read and to try, with Swagger UI from this service itself, so that it works offline."""

from importlib import resources

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse

SCRIPT, STYLE, ICON = "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"
PATHS = frozenset({"/docs", *(f"/docs/{asset}" for asset in (SCRIPT, STYLE, ICON))})
# Holds the browser to it: nothing comes from another host. Swagger UI is started by a script in the page.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
# The validator would be a service on the internet.
PARAMETERS = {"validatorUrl": None}
CACHING = {"Cache-Control": "max-age=3600"}

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
async def docs() -> HTMLResponse:
    """Swagger UI; its addresses are relative, so that it also works under a proxy's prefix."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="earshot",
        swagger_js_url=f"docs/{SCRIPT}",
        swagger_css_url=f"docs/{STYLE}",
        swagger_favicon_url=f"docs/{ICON}",
        swagger_ui_parameters=PARAMETERS,
    )
    page.headers["Content-Security-Policy"] = CONTENT_POLICY
    return page


@router.get("/docs/{asset}", response_class=FileResponse)
async def docs_asset(asset: str) -> FileResponse:
    """The files that the page names."""
    if f"/docs/{asset}" not in PATHS:
        raise HTTPException(404)
    return FileResponse(str(resources.files("fastapi_swagger.resources") / asset), headers=CACHING)
