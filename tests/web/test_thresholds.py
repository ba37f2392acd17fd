"""The page and the API of thresholds: a recount of what is stored, hostile names escaped, friendly when empty."""

import json
from urllib.parse import quote

import httpx
import pytest

from tests.web.seeding import EVIL, NOW, STREAMS, sketch_of_stream
from tests.web.test_pages import Outline

PAGE = "/thresholds/support-triage"


def test_what_passes_a_threshold_is_a_recount_of_the_window(pages: httpx.Client) -> None:
    found = json.loads(pages.get("/api/v1/thresholds/support-triage").content)
    sketch = sketch_of_stream(STREAMS[0], 11, 1.0)
    (bands,) = found["thresholds"]
    assert (bands["model"], bands["n_predictions"], bands["window"]) == ("support-triage", sketch.sums[0].sum(), "all")
    everything = found["passing"][-1]
    assert (everything["threshold"], everything["coverage"], everything["n"]) == (0, 1, sketch.sums[1].sum())
    assert everything["accuracy"] == pytest.approx(sketch.sums[4].sum() / 1e9 / sketch.sums[1].sum())
    thresholds = [step["threshold"] for step in found["passing"]]
    coverages = [step["coverage"] for step in found["passing"]]
    assert thresholds == sorted(thresholds, reverse=True)
    assert coverages == sorted(coverages)
    for step in found["passing"]:
        assert step["accuracy"] is None or step["interval"][0] <= step["accuracy"] <= step["interval"][1]
    for certificate in found["targets"]:
        if certificate["certified"]:
            (step,) = [each for each in found["passing"] if each["threshold"] == certificate["threshold"]]
            assert (step["n"], step["accuracy"]) == (certificate["n"], certificate["accuracy"])


def test_the_page_shows_what_the_api_says_and_every_series_of_the_model(pages: httpx.Client) -> None:
    shown = Outline(pages.get(PAGE).text)
    found = json.loads(pages.get("/api/v1/thresholds/support-triage").content)
    for certificate in found["targets"]:
        words = f"{certificate['threshold']:.5g}" if certificate["certified"] else certificate["reason"]
        assert words in shown.words()
    for words in ("lang = de", "lang = en", "logprob", "more labels", "broken", "since 14 Nov 2026"):
        assert words in shown.words()
    assert "complaint" not in shown.words()
    assert "caldrift thresholds support-triage --signal confidence --window all --target 0.95 --deploy" in shown.words()
    other = next(link for link in shown.links if "lang%3Dde" in link)
    assert "segment all events" in shown.words()
    assert "lang de" in Outline(pages.get(other).text).words()


def test_the_deployed_certificates_are_listed_with_how_they_stand(pages: httpx.Client) -> None:
    every = json.loads(pages.get("/api/v1/certificates").content)["certificates"]
    of_one = json.loads(pages.get("/api/v1/certificates", params={"model": "support-triage"}).content)["certificates"]
    assert [each["verdict"] for each in every] == ["not broken", "no labels yet", "broken", "not broken"]
    assert {each["model"] for each in of_one} == {"support-triage"}
    assert of_one[0]["segment"] == {"lang": "de"}


def test_a_hostile_name_is_only_text(pages: httpx.Client) -> None:
    answer = pages.get(f"/thresholds/{quote(EVIL, safe='')}")
    assert answer.status_code == 200
    assert EVIL not in answer.text
    assert EVIL in Outline(answer.text).words()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("target=1.5", "the target must lie between 0 and 1"),
        ("delta=0.9", "delta must be above 0"),
        ("segment=lang", "a segment is written dimension=value"),
    ],
)
def test_a_promise_that_cannot_be_is_refused_in_words(pages: httpx.Client, query: str, said: str) -> None:
    for path in (PAGE, f"/api/v1{PAGE}"):
        answer = pages.get(f"{path}?{query}")
        assert answer.status_code == 400
        assert said in answer.text


def test_a_model_that_there_is_not_and_a_series_without_sums_are_said(pages: httpx.Client) -> None:
    assert pages.get("/thresholds/nobody").status_code == 404
    empty = Outline(pages.get(f"{PAGE}?window=1d").text).words()
    assert "Nothing to certify yet" in empty


def test_the_chain_calculator_multiplies_and_names_its_mistakes(pages: httpx.Client) -> None:
    assert "0.422" in pages.get(f"{PAGE}?chain=0.75+0.75+75%25").text
    assert "a step must be an accuracy" in pages.get(f"{PAGE}?chain=often").text
    assert f"{NOW:%H:%M} UTC" in pages.get(PAGE).text
