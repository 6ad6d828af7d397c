"""`HEAD` wherever `GET` is: the same headers, and no body."""

from anyio import CancelScope
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """ASGI middleware that asks the application for `GET` and ends with the answer's head."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self.app(scope, receive, send)

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                is_answered.cancel()  # a stream of events would go on for as long as its job

        inner = {**scope, "method": "GET"}
        try:
            with CancelScope() as is_answered:
                await self.app(inner, receive, send_head)
        finally:
            scope.update({key: inner[key] for key in ("route", "earshot.code") if key in inner})
