"""Bytes spoilt at random: what a broken client, a broken disk or a fuzzer makes of them."""

import random
from dataclasses import replace

from benchmarks.faults.caller import Call

NUMBERS = [b"-1", b"0", b"1e309", b"NaN", b"99999999999999999999", b"0.5", b"null", b"{}", b"[]", b'""', b"true"]
TEXTS = [
    b"\x00",
    b"\xff\xfe",
    "\u202e".encode(),
    b"../../etc/passwd",
    b"%00",
    b"\r\n\r\n",
    b"'; DROP",
    b'"',
    b"{" * 3000,
]
TYPES = [
    "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=c", "application/json",
    "application/x-www-form-urlencoded", "text/plain; charset=utf-16", "audio/wav", "", "multipart/mixed; boundary=b",
]  # fmt: skip


def spoilt(data: bytes, dice: random.Random) -> bytes:
    """`data` with one to eight places flipped, cut out, doubled, or written over."""
    spoilt = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(spoilt) + 1)
        end = min(len(spoilt), at + dice.choice([1, 1, 2, 8, 64, 1024]))
        match dice.randrange(6):
            case 0:
                spoilt[at:end] = dice.randbytes(end - at)
            case 1:
                del spoilt[at:end]
            case 2:
                spoilt[at:at] = spoilt[at:end]
            case 3:
                spoilt[at:end] = dice.choice(NUMBERS)
            case 4:
                spoilt[at:at] = dice.choice(TEXTS)
            case 5:
                del spoilt[dice.randrange(len(spoilt) + 1) :]
    return bytes(spoilt)


def spoilt_call(call: Call, dice: random.Random) -> Call:
    """A call whose body, and at times type, length, method or path, is not what it should be."""
    call = replace(call, body=spoilt(call.body, dice))
    match dice.randrange(10):
        case 0:
            call = replace(call, headers=call.headers | {"Content-Type": dice.choice(TYPES)})
        case 1:
            length = dice.choice([0, len(call.body) // 2, len(call.body) + 100, 2**31, 10**30])
            call = replace(call, headers=call.headers | {"Content-Length": str(length)})
        case 2:
            call = replace(call, method=dice.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]))
        case 3:
            path = call.path.encode() + dice.choice(TEXTS + NUMBERS)
            call = replace(
                call, path="".join(f"%{byte:02x}" if byte < 0x21 or byte > 0x7E else chr(byte) for byte in path)
            )
        case 4:
            call = replace(call, headers=call.headers | {"Idempotency-Key": dice.choice(["a", "b", "a b", "k" * 300])})
    return call
