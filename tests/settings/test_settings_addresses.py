"""Templates of addresses: places are checked, and no secret is kept or shown."""

from pathlib import Path

import pytest
import yaml

from passerby import settings
from passerby.errors import SettingsError
from passerby.settings import addresses

CITY = Path(__file__).resolve().parents[2] / "profiles" / "city.yaml"
SECRET = "hunter2"


def refusal(**videos: object) -> str:
    values = yaml.safe_load(CITY.read_text())
    values["videos"] |= {"serve": False, **videos}
    with pytest.raises(SettingsError) as caught:
        settings.validate(yaml.safe_dump(values), "params.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "https://me:hunter2@example.org/{id}",
        "https://me:hunter2{id}@example.org/",
        "https://hunter2@example.org/{id}",
        "https://{env[USER]}:hunter2@example.org/{id}",
        "https://example.org/{id}?token=hunter2",
        "https://example.org/{id}?v=1&api_key=hunter2",
        "https://example.org/{id}?key=hunter2{env[KEY]}",
        "https://example.org/{id}#access_token=hunter2",
        "ftp://me:hunter2@example.org/{name}",
        "https://me:hunter2/x@example.org/{id}",
        "https://me:hunter2?x@example.org/{id}",
        "https://me:hunter2#@example.org/{id}",
        "me:hunter2@example.org/{id}",
        "https://me:hunter2{x@example.org/{id}",
        "https://me:{hunter2}@example.org/{id}",
        "https://me:hunter2%40example.org/{id}",
        "https://me:hunter2\uff20example.org/{id}",
        "https://me:hunter2/example.org/{id}",
        "https://example.org/{id}?token={hunter2}",
        "https://example.org/{id}?accessKeyId=hunter2",
        "https://example.org/{id}?jwt=hunter2",
        "https://example.org/{id}?%70assword=hunter2",
        "https://proxy.org/https://me:hunter2@example.org/{id}",
        "https://proxy.org/{id}?url=https%3A%2F%2Fme%3Ahunter2%40example.org",
        "https://proxy.org/https%3A%2F%2Fme%3Ahunter2%40example.org/{id}",
        "https://example.org/{id}\nhttps://me:hunter2@example.org/{id}",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_shown(template: str) -> None:
    said = refusal(url_template=template)
    assert said.startswith("params.yaml: one fault\n  videos.url_template (line ")
    assert SECRET not in said
    with pytest.raises(ValueError, match="url_template") as error:
        settings.Videos(root=".", url_template=template)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "videos",
    [
        {"url_template": ["https://me:hunter2@example.org/{id}"]},
        {"url_template": {"https://me:hunter2@example.org/{id}": 1}},
        {"url_template": "https://example.org/{port}/{id}?v=hunter2"},
    ],
)
def test_other_faults_do_not_show_a_secret_either(videos: dict[str, object]) -> None:
    assert SECRET not in refusal(**videos)


def test_a_refused_secret_says_where_it_belongs() -> None:
    said = refusal(url_template="https://me:hunter2@example.org/{id}")
    assert "found a password in https://***@example.org/{id}; settings stand in git" in said
    assert "put it into an environment variable and write {env[NAME]} in its place" in said


@pytest.mark.parametrize(
    "template",
    [
        "https://www.youtube.com/watch?v={id}",
        "https://www.youtube.com/@somebody/{id}?list=abc",
        "https://{env[USER]}:{env[PASSWORD]}@example.org/{id}",
        "https://me:{env[PASSWORD]}@[::1]:8080/{id}",
        "https://{env[TOKEN]}@example.org/{country}/{city}/{name}?token={env[TOKEN]}&key=",
        "https://example.org:8080/{id}?author=somebody&monkey=1",
        "https://proxy.org/https://me:{env[PASSWORD]}@example.org/{id}?keyframe=1",
    ],
)
def test_an_address_without_a_secret_is_taken(template: str) -> None:
    assert settings.Videos(root=".", url_template=template).url_template == template
    assert "".join(addresses.split(template)) == template


@pytest.mark.parametrize(
    "place",
    ["{key}", "{}", "{id.upper}", "{id!r}", "{id:>999999}", "{env}", "{env[A B]}", "{0}"],
)
def test_a_place_that_is_not_known_is_refused(place: str) -> None:
    said = refusal(url_template=f"https://example.org/{place}")
    assert "wanted an address with no places but {id}, {name}, {country}, {city}, {port}" in said
    assert "{env[NAME]}, an environment variable" in said
