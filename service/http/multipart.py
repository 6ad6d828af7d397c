"""Multipart bodies: what a client means for a file is one, and what nobody knows is named.

RFC 7578 asks for `filename` in each file's part. Clients that send `filename*` alone, or no file name at all, are
served too: what comes in a field of files is a file.
"""

from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any, Self, get_args

from fastapi import UploadFile
from fastapi.routing import APIRoute
from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.datastructures import UploadFile as ParsedFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from service.http.fields import check_known
from service.http.problems import ServiceError
from service.http.spool import Spool

MULTIPART = b"multipart/form-data"
MAX_PATH_BYTES = 4096  # text in place of a file is a path, and no longer than one
MAX_URL_CHARS = 200
BYTES_A_FIELD = 1024


@dataclass(frozen=True)
class FormShape:
    """The fields of a form, as far as they matter before their values do."""

    fields: frozenset[str]
    files: frozenset[str]
    """Those that hold files."""
    lists: frozenset[str]
    """Those that may be repeated."""
    example: str
    """curl's arguments for a form that works."""

    @classmethod
    def of(cls, model: type[BaseModel]) -> Self:
        """The shape of a pydantic form, whose class has the `EXAMPLE`."""
        types = {name: (field.annotation, *get_args(field.annotation)) for name, field in model.model_fields.items()}
        return cls(
            fields=frozenset(types),
            files=frozenset(name for name, parts in types.items() if UploadFile in parts),
            lists=frozenset(name for name, parts in types.items() if any(_is_list(part) for part in parts)),
            example=model.EXAMPLE,
        )


class FormRoute(APIRoute):
    """A route whose form is read by `FormRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        shape = FormShape.of(self.body_field.field_info.annotation)

        async def handle_form(request: Request) -> Response:
            return await handle(FormRequest(request.scope, request.receive, shape))

        return handle_form


class FormRequest(Request):
    """A request whose body must be a form of that shape; `form` raises `ServiceError` where it is not."""

    def __init__(self, scope: Scope, receive: Receive, shape: FormShape):
        super().__init__(scope, receive)
        self._shape = shape

    async def form(self, **limits: int) -> FormData:  # type: ignore[override]
        """The fields and files; `limits` are those of Starlette's parser."""
        if self._form is None:
            content_type, options = parse_options_header(self.headers.get("Content-Type"))
            if content_type != MULTIPART:
                raise ServiceError("body_unsupported", self._hint(content_type.decode("latin-1")))
            if not options.get(b"boundary"):
                detail = "The Content-Type has no boundary. Leave that header to your client, which knows the boundary."
                raise ServiceError("bad_request", detail)
            form = await read_form(self, files=self._shape.files, **limits)
            try:
                await self._check(form)
            except BaseException:
                await form.close()
                raise
            self._form = form
        return self._form

    async def _check(self, form: FormData) -> None:
        shape = self._shape
        check_known(form, shape.fields)
        for name, value in form.multi_items():
            if name not in shape.lists and len(form.getlist(name)) > 1:
                raise ServiceError("invalid_request", f"{name}: came more than once, and may only once")
            if name in shape.files:
                await _check_file(name, value)
            elif isinstance(value, ParsedFile):
                detail = f"{name}: came as a file and is a text; with curl: -F '{name}=TEXT', or -F '{name}=<FILE'"
                raise ServiceError("invalid_request", detail)

    def _hint(self, content_type: str) -> str:
        came = f"as {content_type[:100]}" if content_type else "without a Content-Type"
        has_key = "authorization" in self.headers or "x-api-key" in self.headers
        key = ' -H "X-API-Key: KEY"' if has_key else ""
        url = str(self.url.replace(query=""))[:MAX_URL_CHARS]
        return f"Send the body as multipart/form-data; it came {came}. As here: curl {url}{key} {self._shape.example}"


async def read_form(request: Request, *, files: frozenset[str], **limits: int) -> FormData:
    """The form in a multipart body, each part of the fields `files` a file; raises `HTTPException` if it is none."""
    try:
        async with aclosing(request.stream()) as stream:
            spool = Spool(request.scope["earshot.charge"])
            return await Parser(request.headers, stream, spool=spool, file_fields=files, **limits).parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error
    except UnicodeError as error:
        raise HTTPException(400, f"The form cannot be read in its charset: {error}.") from error


class Parser(MultiPartParser):
    """Starlette's, which by itself takes for text whatever has no plain `filename`, and keeps files in memory.

    Text and the heads of parts do stay in memory: as much as `BYTES_A_FIELD` for each field that there may be.
    """

    def __init__(self, *arguments: Any, spool: Spool, file_fields: frozenset[str], **limits: int):
        super().__init__(*arguments, **limits)
        self._spool = spool
        self._file_fields = file_fields
        self._num_text_bytes = 0
        self._has_ended = False

    async def parse(self) -> FormData:
        """The whole form; Starlette would leave out the part in which it breaks off."""
        form = await super().parse()
        if not self._has_ended:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("The form ends before its last boundary.")
        return form

    def on_end(self) -> None:
        self._has_ended = True

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a file or of a text; raises ServiceError where the texts are too long together."""
        if self._current_part.file is None:
            self._count_text(end - start)
        super().on_part_data(data, start, end)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a part's head; raises ServiceError as for texts."""
        self._count_text(end - start)
        super().on_header_value(data, start, end)

    def _count_text(self, num_bytes: int) -> None:
        self._num_text_bytes += num_bytes
        most = BYTES_A_FIELD * self.max_fields
        if self._num_text_bytes > most:
            raise ServiceError("body_too_large", f"The form's texts and heads are longer than {most:g} bytes together.")

    def on_headers_finished(self) -> None:
        """Give the part the file name that makes it a file, where it is meant for one."""
        part = self._current_part
        disposition = part.content_disposition or b""
        _, options = parse_options_header(disposition)
        filename = _extended_filename(disposition)
        if filename is None and b"filename" not in options:
            field = options.get(b"name", b"").decode("utf-8", "replace")
            if field in self._file_fields or _is_sound(part.item_headers):
                filename = ""
        if filename is not None and b"name" in options:
            part.content_disposition = b'form-data; name="%s"; filename="%s"' % (
                _quoted(options[b"name"]),
                _quoted(filename.encode("utf-8", "replace")),
            )
        super().on_headers_finished()
        if part.file is not None:
            self._files_to_close_on_error[-1].close()
            part.file.file = self._files_to_close_on_error[-1] = self._spool.part()


def _extended_filename(disposition: bytes) -> str | None:
    """The `filename*` of RFC 5987, which can spell any name; RFC 7578 forbids it in forms, and clients send it."""
    if b"filename*" not in disposition.lower():
        return None
    message = Message()
    message["Content-Disposition"] = disposition.decode("latin-1")
    values = (value for name, value in message.get_params([], "content-disposition") if name.lower() == "filename")
    extended = next((value for value in values if isinstance(value, tuple)), None)
    try:
        return extended and collapse_rfc2231_value(extended)
    except UnicodeError:  # of a charset that knows no replacement, as idna
        return ""


async def _check_file(name: str, file: ParsedFile) -> None:
    """Refuse a nameless file that is nothing but a path or a word: a forgotten `@`."""
    if file.filename or file.size > MAX_PATH_BYTES or _is_sound(file.headers.raw):
        return
    if file.size == 0 and file.content_type == "application/octet-stream":
        return  # a browser's file chooser in which nothing was chosen: FastAPI takes it for a field that is not there
    content = await file.read()
    await file.seek(0)
    if (text := _line(content)) is not None:
        came = f"the text {text[:100]!r}" if text else "nothing"
        raise ServiceError("invalid_request", f"{name}: {came} came, not a file; send a file: -F {name}=@clip.wav")


def _line(content: bytes) -> str | None:
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _is_sound(headers: list[tuple[bytes, bytes]]) -> bool:
    types = (value.lower() for name, value in headers if name.lower() == b"content-type")
    return any(value.startswith((b"audio/", b"video/")) for value in types)


def _is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is list


def _quoted(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
