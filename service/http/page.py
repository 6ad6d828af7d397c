"""`GET /`: what runs here, as one plain page without anything from outside."""

from html import escape

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from service.context import ServiceContext

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>earshot</title>
<link rel="icon" href="{base}docs/favicon-32x32.png">
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}</style>
<h1>earshot</h1>
<p>Audio classification that its tenants teach with a handful of clips.</p>
<dl>
<dt>Model</dt><dd>{model} <code>{fingerprint}</code> on {device}</dd>
<dt>Licence of the weights</dt><dd>{licence}</dd>
</dl>
<p><a href="{base}docs">The interface</a> · <a href="{base}adapters">Your adapters</a>
· <a href="{base}jobs">Your jobs</a> · <a href="{base}info">Limits</a>
· <a href="{base}readyz">Ready?</a> · <a href="{base}metrics">Metrics</a></p>
</html>
"""

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
async def page(request: Request, context: ServiceContext) -> str:
    """A start for whoever opens the address in a browser; its links lead back through a proxy's prefix."""
    clap = context.clap
    prefix = request.scope.get("root_path", "")
    return PAGE.format(
        base=f"{prefix}/" if prefix else "",
        model=escape(clap.name),
        fingerprint=escape(clap.fingerprint[:12]),
        device=escape(str(clap.device)),
        licence=escape(clap.licence or "not stated"),
    )
