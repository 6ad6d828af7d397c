import pytest

from adapters_store import NameInvalid, Ref
from adapters_store.names import adapter_directory, parse_reference, tenant_directory, version_path

DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("birds", ("birds", None)), ("birds@3", ("birds", 3)), ("a", ("a", None)), ("0_-@999999999", ("0_-", 999999999))],
)
def test_references(reference, expected):
    assert parse_reference(reference) == expected


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "@1",
        "birds@",
        "birds@0",
        "birds@03",
        "birds@-1",
        "birds@1.0",
        "birds@1@2",
        "birds@٣",
        "birds@1\n",
        "birds\n",
        "-birds",
        "_birds",
        "Birds",
        "vögel",
        "a" * 65,
        "a b",
        "a.b",
        "birds@9999999999",
        None,
        3,
        b"birds",
    ],
)
def test_references_refused(reference):
    with pytest.raises(NameInvalid):
        parse_reference(reference)


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", "../1", None, 10**9])
def test_a_ref_cannot_be_made_of_what_is_not_path_safe(version):
    with pytest.raises(NameInvalid):
        Ref("acme", "birds", version, DIGEST)
    with pytest.raises(NameInvalid):
        Ref("../acme", "birds", 1, DIGEST)
    with pytest.raises(NameInvalid):
        Ref("acme", "../birds", 1, DIGEST)
    with pytest.raises(NameInvalid):
        Ref("acme", "birds", 1, "../" + DIGEST)


def test_tenants_that_differ_in_case_alone_lie_apart_on_any_file_system():
    tenants = ["acme", "Acme", "ACME", "aCme", "_acme", "-acme"]
    assert len({tenant_directory(tenant).casefold() for tenant in tenants}) == len(tenants)


def test_paths():
    assert adapter_directory("Acme", "birds") == "=acme/birds"
    assert version_path("acme", "birds", 3) == "acme/birds/versions/000003"
    assert version_path("acme", "birds", 1_234_567) == "acme/birds/versions/1234567"
