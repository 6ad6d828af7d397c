"""Requests made from the OpenAPI document, right and wrong: no 500, and no answer that the document does not name."""

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

bounded = hypothesis_settings(
    max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"requests_per_s": 0.0, "max_clips": 20})


@pytest.fixture
def document(address, context, publish):
    publish("animals", ["dog", "cat"])
    return schemathesis.openapi.from_url(f"{address}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_documented(document, mode, subtests):
    for result in document.get_all_operations():
        operation = result.ok()

        @bounded
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            case.call_and_validate(checks=CHECKS)

        # An operation without any input cannot be asked wrongly.
        with subtests.test(operation=operation.label), contextlib.suppress(Unsatisfiable):
            check()
