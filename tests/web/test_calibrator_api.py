"""The API of maps: the one in force with its tag, and confidences that are sent to it; on a real database."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.calibrators.served import decode_served
from monitor.postgres.database import connect
from monitor.rolling.segments import Dimension
from tests.client.promoting import artefact, promoted
from tests.web.conftest import OPTIONS, client_of

PATH = "/api/v1/calibrators/m1"


def test_the_map_in_force_comes_whole(database: str, empty_pages: httpx.Client) -> None:
    promotion = promoted(database, artefact())
    answer = empty_pages.get(PATH)
    told = answer.json()
    assert (told["model"], told["signal"], told["version"], told["stage"]) == ("m1", "confidence", 1, "active")
    assert promotion.calibrator is not None
    assert told["fingerprint"] == promotion.calibrator.fingerprint
    assert told["promoted_at"] == "2026-03-01T00:00:00Z"
    assert decode_served(answer.content)[1] == artefact()
    assert answer.headers["cache-control"] == "private, no-cache"


def test_the_tag_holds_until_the_next_promotion_even_of_the_same_map(database: str, empty_pages: httpx.Client) -> None:
    promoted(database, artefact())
    tag = empty_pages.get(PATH).headers["etag"]
    assert tag.startswith('"')
    for named in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = empty_pages.get(PATH, headers={"If-None-Match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), named
    assert empty_pages.get(PATH, headers={"If-None-Match": '"another"'}).status_code == 200
    promoted(database, artefact(), "shadow")
    later = empty_pages.get(PATH, headers={"If-None-Match": tag})
    assert (later.status_code, later.json()["stage"], later.json()["version"]) == (200, "shadow", 2)


def test_the_tag_changes_with_the_declared_dimensions(database: str, empty_pages: httpx.Client) -> None:
    promoted(database, artefact())
    tag = empty_pages.get(PATH).headers["etag"]
    with client_of(database, replace(OPTIONS, dimensions=(Dimension("lang", "length", (10.0,)),))) as client:
        assert client.get(PATH, headers={"If-None-Match": tag}).status_code == 200


def test_after_a_roll_back_to_what_is_stated_there_is_no_map(database: str, empty_pages: httpx.Client) -> None:
    promoted(database, artefact())
    promoted(database, None)
    told = empty_pages.get(PATH).json()
    assert (told["version"], told["fingerprint"], told["calibrator"]) == (None, None, None)
    answer = empty_pages.post("/api/v1/calibrate", json={"model": "m1", "confidence": 0.93})
    assert (answer.json()["calibrated"], answer.json()["version"]) == (0.93, None)


def test_without_a_map_it_says_whether_the_model_is_known(pages: httpx.Client) -> None:
    never, unknown = pages.get("/api/v1/calibrators/calibrated-judge"), pages.get("/api/v1/calibrators/no/such")
    assert (never.status_code, unknown.status_code) == (404, 404)
    assert "was ever promoted: take its confidences as stated" in never.json()["error"]
    assert unknown.json()["error"] == "There is no model no/such: no prediction of it has come."
    assert pages.post("/api/v1/calibrate", json={"model": "nobody", "confidence": 0.5}).status_code == 404


def test_the_declared_dimensions_come_along_and_choose_the_map(database: str) -> None:
    promoted(database, artefact("histogram"))
    options = replace(OPTIONS, dimensions=(Dimension("lang", "length", (10.0, 20.0), ("l0", "l1", "l2")),))
    with client_of(database, options) as client:
        assert client.get(PATH).json()["dimensions"] == [
            {"name": "lang", "field": "length", "cuts": [10.0, 20.0], "names": ["l0", "l1", "l2"]}
        ]
        body = {"model": "m1", "confidence": [0.9, 0.9], "segments": [{"length": 15}, {"lang": "l1"}]}
        told = client.post("/api/v1/calibrate", json=body).json()["calibrated"]
    lookup = Lookup(artefact("histogram"))
    assert told == [lookup.apply(0.9, {"lang": "l1"}), lookup.apply(0.9, {})]  # it is read from `length`, not `lang`


def test_a_damaged_map_in_force_is_no_fault_of_who_asks(database: str, empty_pages: httpx.Client) -> None:
    promoted(database, artefact())
    with connect(database, "test") as connection:
        connection.execute("UPDATE calibrator SET body = left(body, 40)")
    answer = empty_pages.post("/api/v1/calibrate", json={"model": "m1", "confidence": 0.93})
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("the map in force: not a calibrator: ")


def test_a_batch_is_what_its_single_confidences_are(database: str, empty_pages: httpx.Client) -> None:
    promoted(database, artefact())
    asked = [0.0, 0.2, 0.93, 1.0]
    segments = [{}, {"lang": "l0"}, {"lang": "l2", "new": True, "size": 3}, {"lang": "unheard of"}]

    def said(body: dict[str, Any]) -> Any:
        answer = empty_pages.post("/api/v1/calibrate", json={"model": "m1", **body})
        assert answer.status_code == 200, answer.text
        return answer.json()["calibrated"]

    one_by_one = [said({"confidence": c, "segments": s}) for c, s in zip(asked, segments, strict=True)]
    assert said({"confidence": asked, "segments": segments}) == one_by_one
    lookup = Lookup(artefact())
    assert one_by_one[1:3] == [lookup.apply(0.2, {"lang": "l0"}), lookup.apply(0.93, {"lang": "l2"})]
    assert said({"confidence": asked}) == [lookup.apply(c) for c in asked]


def test_a_map_on_trial_is_applied_but_not_to_be_acted_on(database: str, empty_pages: httpx.Client) -> None:
    promoted(database, artefact(), "shadow")
    told = empty_pages.post("/api/v1/calibrate", json={"model": "m1", "confidence": 0.93}).json()
    assert (told["stage"], told["value"], told["calibrated"]) == ("shadow", 0.93, Lookup(artefact()).apply(0.93))


BAD: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b"{", 422, "That is no request to calibrate"),
    "no UTF-8": (b'{"model": "\xff"}', 422, "That is no request to calibrate"),
    "nothing": (b"", 422, "That is no request to calibrate"),
    "no model": ({"confidence": 0.9}, 422, "missing required field `model`"),
    "text": ({"model": "m1", "confidence": "0.9"}, 422, r"at `$.confidence`"),
    "true": ({"model": "m1", "confidence": True}, 422, r"at `$.confidence`"),
    "too much": ({"model": "m1", "confidence": 1.2}, 422, "confidence must be a number from 0 to 1, got 1.2"),
    "too little": ({"model": "m1", "confidence": [0.5, -1]}, 422, "confidence[1] must be a number from 0 to 1"),
    "no number": (b'{"model": "m1", "confidence": NaN}', 422, "That is no request"),
    "a mistyped field": ({"model": "m1", "confidence": 0.9, "segment": {}}, 422, "unknown field `segment`"),
    "too few segments": (
        {"model": "m1", "confidence": [0.5, 0.6], "segments": [{}]},
        422,
        "as many as confidences: 2, got 1",
    ),
    "too many": ({"model": "m1", "confidence": [0.5] * 10_001}, 413, "may have 10,000 confidences, got 10,001"),
    "too large": (b" " * (8 * 1024 * 1024 + 1), 413, "8,388,608 bytes: send several"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_what_cannot_be_calibrated_is_told_in_words(pages: httpx.Client, mistake: str) -> None:
    body, status, words = BAD[mistake]
    answer = (
        pages.post("/api/v1/calibrate", content=body)
        if isinstance(body, bytes)
        else pages.post("/api/v1/calibrate", json=body)
    )
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_with_a_token_both_need_it_and_no_cookie(database: str) -> None:
    promoted(database, artefact())
    with client_of(database, replace(OPTIONS, token="secret")) as client:
        body = {"model": "m1", "confidence": 0.9}
        assert client.get(PATH).status_code == 401
        assert client.post("/api/v1/calibrate", json=body).status_code == 401
        bearer = {"Authorization": "Bearer secret"}
        assert client.get(PATH, headers=bearer).status_code == 200
        assert client.post("/api/v1/calibrate", json=body, headers=bearer).status_code == 200


def test_an_artefact_of_another_version_is_served_but_not_applied_here(database: str) -> None:
    promotion = promoted(database, artefact())
    assert promotion.calibrator is not None
    newer = promotion.calibrator.body.replace('"format": 1', '"format": 2', 1)
    from monitor.postgres.database import connect

    with connect(database, "test") as connection:
        connection.execute("UPDATE calibrator SET body = %s", (newer,))
        connection.commit()
    with client_of(database) as client:
        assert client.get(PATH).json()["calibrator"]["format"] == 2
        answer = client.post("/api/v1/calibrate", json={"model": "m1", "confidence": 0.9})
    assert answer.status_code == 500
    assert "use the caldrift that wrote it, or fit it again" in answer.json()["error"]


def test_the_description_of_the_api_names_what_goes_in_and_what_comes_out(pages: httpx.Client) -> None:
    paths = pages.get("/api/v1/openapi.json").json()["paths"]
    post = paths["/api/v1/calibrate"]["post"]
    wanted = post["requestBody"]["content"]["application/json"]["schema"]
    assert set(wanted["properties"]) == {"model", "confidence", "segments", "signal"}
    assert "value" in post["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    served = paths["/api/v1/calibrators/{model}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert {"version", "stage", "calibrator", "dimensions"} <= set(served["properties"])
