"""The release of the client, which is the service's."""

VERSION = "0.3.0"
