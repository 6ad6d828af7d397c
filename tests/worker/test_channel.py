import socket
import threading
import time

import pytest

from worker.channel import Channel, ChannelClosed


@pytest.fixture
def ends():
    ours, theirs = (Channel(end) for end in socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_arrive_in_order_and_whole(ends):
    ours, theirs = ends
    messages = [{"event": "progress", "text": "ä\n" * size} for size in (0, 1, 20_000)]
    sender = threading.Thread(target=lambda: [theirs.send(message) for message in messages])
    sender.start()
    assert [ours.receive(timeout_s=5) for _ in messages] == messages
    sender.join()


def test_waiting_ends_in_time(ends):
    begin = time.monotonic()
    assert ends[0].receive(timeout_s=0.1) is None
    assert time.monotonic() - begin >= 0.1


def test_the_other_sides_end_is_noticed(ends):
    ours, theirs = ends
    theirs.send({"last": True})
    theirs.close()
    assert ours.receive(timeout_s=1) == {"last": True}
    with pytest.raises(ChannelClosed):
        ours.receive(timeout_s=1)
    with pytest.raises(ChannelClosed):
        ours.send({})
