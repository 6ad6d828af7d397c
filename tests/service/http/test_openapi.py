"""The OpenAPI document in the words that generators and Swagger UI understand."""

import json

import openapi_spec_validator
import pytest

OPERATIONS = {
    "classify", "adapt", "list_jobs", "get_job", "cancel_job", "follow_job", "list_adapters", "get_adapter",
    "list_versions", "set_current_version", "set_thresholds", "delete_adapter", "export_adapter", "import_adapter",
    "healthz", "readyz", "info", "metrics",
}  # fmt: skip


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def test_the_document_is_one_of_3_1(document):
    assert document["openapi"].startswith("3.1.")
    openapi_spec_validator.validate(document)


def test_operations_are_called_by_plain_names(document):
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert set(names) >= OPERATIONS


def test_files_are_binary(document):
    binary = {"type": "string", "format": "binary"}
    forms = document["components"]["schemas"]
    for field in (forms["ClassifyForm"]["properties"]["audio"], forms["AdaptForm"]["properties"]["clips"]):
        assert field["items"] == binary
    assert forms["AdaptForm"]["properties"]["archive"].items() >= binary.items()
    file = document["paths"]["/adapters/{name}/file"]
    assert file["post"]["requestBody"]["content"]["application/octet-stream"]["schema"] == binary
    assert file["get"]["responses"]["200"]["content"]["application/octet-stream"]["schema"] == binary
    assert "contentMediaType" not in json.dumps(document)


def test_no_field_of_a_form_may_be_null(document):
    for form in ("ClassifyForm", "AdaptForm"):
        assert "null" not in json.dumps(document["components"]["schemas"][form])


def test_events_are_a_plain_stream(document):
    content = document["paths"]["/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]
    assert content == {"text/event-stream": {"schema": {"type": "string"}}}
    assert "itemSchema" not in json.dumps(document)


def test_a_list_in_a_form_is_a_field_repeated(document):
    for path, lists in (
        ("/classify", ("audio", "labels")),
        ("/adapt", ("clips", "labels", "background", "background_labels", "unlabelled", "remove")),
    ):
        encoding = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["encoding"]
        assert encoding == {name: {"style": "form", "explode": True} for name in lists}


def test_swagger_ui_fills_in_nothing_that_was_not_asked_for(document):
    for form in (document["components"]["schemas"][name] for name in ("ClassifyForm", "AdaptForm")):
        for name, field in form["properties"].items():
            is_filled = (
                name not in form.get("required", ()) and field.get("format") != "binary" and "default" not in field
            )
            assert not is_filled or field["example"] == ""
