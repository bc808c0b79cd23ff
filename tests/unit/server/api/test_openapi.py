from ops.runtime.settings import Settings
from server.api import ROUTES
from server.api.openapi import document


def test_every_operation_has_an_id_of_its_own_and_a_summary() -> None:
    paths = document(ROUTES, Settings.parse({}))["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) == len(ROUTES)
    assert all(operation["summary"] for operation in operations)


def test_each_route_lists_the_headers_of_its_refusals() -> None:
    (operation,) = document(ROUTES, Settings.parse({}))["paths"]["/readyz"].values()
    assert operation["responses"]["503"]["headers"]["Retry-After"]["required"]
