"""An S3 server on this machine, as a place for a store."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import boto3
from moto.server import ThreadedMotoServer


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of a store in a new bucket, to which the environment points as long as the block lasts."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        with patch.dict(os.environ, s3_environment(f"http://{host}:{port}")):
            yield new_bucket()
    finally:
        server.stop()


def s3_environment(endpoint: str) -> dict[str, str]:
    """What a client of the server at `endpoint` finds in its environment."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def new_bucket() -> str:
    """Make a bucket, and return the URL of a store in it."""
    bucket = f"adapters-{uuid.uuid4().hex}"
    client = boto3.client("s3")
    client.create_bucket(Bucket=bucket)
    client.close()
    return f"s3://{bucket}/some/prefix"
