"""A path prefix under which a proxy shows this service: every link in an answer leads back through it."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.settings import PREFIX


class Prefix:
    """ASGI middleware: sets `root_path` and puts it before the `Location` of an answer.

    The prefix is the one in `X-Forwarded-Prefix` where a proxy is trusted to set it, or else the setting's. The proxy
    may have taken it off the path or left it there.
    """

    def __init__(self, app: ASGIApp, *, root_path: str, trusts_proxy: bool):
        self.app = app
        self._root_path = root_path
        self._trusts_proxy = trusts_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root_path = self._prefix(scope) if scope["type"] in ("http", "websocket") else ""
        if not root_path:
            return await self.app(scope, receive, send)
        path = scope["path"]
        if path == root_path or path.startswith(root_path + "/"):
            path = path.removeprefix(root_path) or "/"
        scope = {**scope, "root_path": root_path, "path": root_path + path}

        async def send_linked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("Location", "").startswith("/"):
                    headers["Location"] = root_path + headers["Location"]
            await send(message)

        await self.app(scope, receive, send_linked)

    def _prefix(self, scope: Scope) -> str:
        if self._trusts_proxy:
            # Each proxy on the way appends its own; the first is the one that the client sees.
            forwarded = Headers(scope=scope).get("x-forwarded-prefix", "").split(",")[0].strip().rstrip("/")
            if PREFIX.fullmatch(forwarded):
                return forwarded
        return self._root_path


def route_path(scope: Scope) -> str:
    """The path of a request as the routes know it, less the prefix."""
    return scope["path"].removeprefix(scope.get("root_path", ""))
