"""The numbers that FLAC frames bear (RFC 9639, section 9.1), by which frames that a decoder passed over are missed."""

FIXED, VARIABLE = 0xF8, 0xF9  # second byte of a frame: it bears its own number, or that of its first sample


class Numbering:
    """Follows the frames of one stream."""

    def __init__(self, num_samples: int | None) -> None:
        """`num_samples` is what the stream's header says that it holds; None where it does not say."""
        self._num_samples = num_samples
        self._next = 0
        self._position = 0  # in samples, behind the last frame
        self._block_samples = 0

    def has_gap(self, frame: bytes, num_samples: int) -> bool:
        """Whether frames are missing in front of this one, which holds `num_samples`."""
        number = _coded_number(frame[4:11])
        if number is None or not num_samples:
            return False
        is_variable = frame[1] == VARIABLE
        self._block_samples = self._block_samples or num_samples
        is_missing = number > self._next  # a smaller one begins another stream that was joined on
        self._position = (number if is_variable else number * self._block_samples) + num_samples
        self._next = self._position if is_variable else number + 1
        return is_missing

    def is_short(self) -> bool:
        """Whether the stream ended before the last of its samples."""
        return bool(self._num_samples) and self._position < self._num_samples


def _coded_number(field: bytes) -> int | None:
    """A number of 1 to 7 bytes in the manner of UTF-8; None where it is none."""
    if not field:
        return None
    length = 8 - (field[0] ^ 0xFF).bit_length()  # leading ones
    if length == 0:
        return field[0]
    if length == 1 or length == 8 or len(field) < length:
        return None
    number = field[0] & (0x7F >> length)
    for byte in field[1:length]:
        number = number << 6 | byte & 0x3F
    return number
