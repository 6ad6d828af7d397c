import re

import pytest

from service.http import docs

REFERENCE = re.compile(r"""(?:src|href|url)\s*[=:(]\s*["']?([^"')\s>]+)""")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_reference_nothing_but_this_service(client, path):
    answer = client.get(path)
    assert not re.search(r"""https?:|["'(=]//""", answer.text)
    references = REFERENCE.findall(answer.text)
    assert references
    for reference in references:
        assert client.get(f"/{reference}").status_code == 200, reference


def test_the_interface_is_shown_by_files_of_this_service(client, context):
    context.keys.add("acme")  # the page is for everybody, whatever keys there are
    page = client.get("/docs")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert '"validatorUrl": null' in page.text
    script, style = (client.get(f"/docs/{name}") for name in (docs.SCRIPT, docs.STYLE))
    assert (script.status_code, style.status_code) == (200, 200)
    assert script.headers["content-type"].startswith("text/javascript")
    assert style.headers["content-type"].startswith("text/css")
    assert "SwaggerUIBundle" in script.text
    assert not re.search(r"@import|url\((?!\s*[\"']?data:)", style.text)


def test_no_other_file_of_the_package_is_served(client):
    for name in ("__init__.py", "..%2Fmain.py", "%2Fetc%2Fpasswd"):
        assert client.get(f"/docs/{name}").status_code == 404


def test_the_document_asks_for_a_key_where_the_gate_does(client, context):
    document = client.get("/openapi.json").json()
    context.keys.add("acme")
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyHeader"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            is_refused = client.request(method, path.replace("{", "").replace("}", "")).status_code == 401
            assert is_refused == ("security" in operation), (method, path)
