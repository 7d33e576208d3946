"""A manifest says what was handed out, and any change breaks its signature."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from interview.kits.kit_samples import KEY, KIT, MADE_AT, make, members

from archprep.core.errors import UsageError
from archprep.interview.kits import manifest, signing_key
from archprep.interview.model import KitExercise, KitLimits


def test_the_manifest_says_what_was_handed_out_and_is_signed(out, home, content) -> None:
    """Only the key that signed it proves it genuine."""
    text = members(*make(out, "Zoë"))["archprep-kit.json"].decode()
    kit, signature = manifest.loads(text)
    assert (kit.candidate, kit.minutes, kit.made_at) == ("Zoë", 120, MADE_AT)
    assert [(e.id, e.folder, e.version) for e in kit.exercises] == [
        ("q1", "q01_event_bus", 1),
        ("q3", "q03_rate_limiting", 1),
    ]
    key = signing_key.load()
    assert key is not None
    assert manifest.genuine(kit, signature, key)
    assert not manifest.genuine(kit, signature, bytes(32))


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    """The text is ASCII."""
    text = manifest.dumps(KIT, KEY)
    assert text.isascii()
    kit, signature = manifest.loads(text)
    assert kit == KIT
    assert manifest.genuine(kit, signature, KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"candidate": "Bob"},
        {"minutes": 9000},
        {"made_at": "2026-03-03T09:00:00+00:00"},
        {"archprep_version": "9"},
        {"limits": KitLimits(files=9000)},
        {"id": "cd" * 16},
        {"python": "3.13"},
        {"exercises": (replace(KIT.exercises[0], version=2),)},
        {"exercises": (replace(KIT.exercises[0], digest="cd" * 32),)},
        {"exercises": (*KIT.exercises, KitExercise("q3", "q03_x", 1, "ab" * 32))},
    ],
    ids=["name", "time", "made", "by", "limits", "id", "python", "version", "digest", "exercises"],
)
def test_any_change_breaks_the_signature(change) -> None:
    """Each field of the kit is signed."""
    signature = json.loads(manifest.dumps(KIT, KEY))["signature"]
    assert not manifest.genuine(replace(KIT, **change), signature, KEY)


@pytest.mark.parametrize("name", ["Ada\u200b", " Ada", "Ada\n", "A\u200dda"])
def test_an_invisible_change_breaks_the_signature_too(name) -> None:
    """Names are compared before they are cleaned, so none passes for the one that was signed."""
    signed = json.loads(manifest.dumps(KIT, KEY))
    signed["kit"]["candidate"] = name
    kit, signature = manifest.loads(json.dumps(signed))
    assert kit.candidate == KIT.candidate
    assert not manifest.genuine(kit, signature, KEY)


def test_a_kit_without_an_id_keeps_its_signature() -> None:
    """It was signed before kits had one; adding or removing an id breaks either signature."""
    signed = json.loads(manifest.dumps(KIT, KEY))
    del signed["kit"]["id"], signed["kit"]["python"]
    kit, signature = manifest.loads(json.dumps(signed))
    assert manifest.genuine(kit, signature, KEY)
    assert manifest.identity(kit, signature) == signature
    named = replace(kit, id="ab" * 16)
    assert manifest.identity(named, signature) == named.id
    assert not manifest.genuine(named, signature, KEY)
    assert not manifest.genuine(kit, json.loads(manifest.dumps(named, KEY))["signature"], KEY)


def altered(**kit: object) -> str:
    document = json.loads(manifest.dumps(KIT, KEY))
    document["kit"] |= kit
    return json.dumps(document)


def parts(**changes: object) -> list[object]:
    return [{"id": "q1", "folder": "q01_a", "version": 1, "digest": "ab" * 32} | changes]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        '{"kit": []}',
        "[" * 50_000,
        '{"kit": {"minutes": ' + "9" * 5000 + "}}",
        " " * manifest.MAX_BYTES + manifest.dumps(KIT, KEY),
        altered(format=0),
        altered(format="1"),
        altered(format=True),
        altered(id="../x"),
        altered(python="3.x"),
        altered(minutes=True),
        altered(minutes=0),
        altered(minutes=10**9),
        altered(minutes=10**30),
        altered(minutes="90"),
        altered(candidate=None),
        altered(candidate="\u200b \n"),
        altered(made_at="yesterday"),
        altered(made_at="2026-03-02T09:00:00"),
        altered(made_at="2026-03-02\x1b09:00:00+00:00"),
        altered(made_at="0001-01-01T00:00:00+23:59"),
        altered(exercises=[]),
        altered(exercises=parts() * 2),
        altered(exercises=parts(id="../q1")),
        altered(exercises=parts(folder="..")),
        altered(exercises=parts(folder="a/b")),
        altered(exercises=parts(version=-1)),
        altered(exercises=parts(digest="x")),
        altered(limits={"files": 0}),
        altered(limits={"total_bytes": 10**30}),
    ],
    ids=range(32),
)
def test_an_invalid_manifest_is_refused_in_one_sentence(text) -> None:
    """It is short and printable, whatever the text was."""
    with pytest.raises(UsageError, match="not the manifest of a kit") as caught:
        manifest.loads(text)
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()


def test_a_newer_format_is_refused_as_such() -> None:
    """Whatever else the manifest contains."""
    with pytest.raises(UsageError, match="newer archprep"):
        manifest.loads('{"kit": {"format": 2, "shape": "other"}}')


def test_text_in_a_manifest_is_sanitized() -> None:
    """A signature that is not a string is never genuine, and never an error."""
    text = altered(candidate="\x1b[2JAda\n\u202eB" + "x" * 500, archprep_version="\x07" * 9)
    kit, signature = manifest.loads(text)
    assert kit.candidate.startswith("Ada B")
    assert kit.candidate.isprintable()
    assert len(kit.candidate) < 200
    assert not manifest.genuine(kit, signature, KEY)
    for odd in (None, 7, "\ud800", "é"):
        document = json.loads(manifest.dumps(KIT, KEY)) | {"signature": odd}
        kit, signature = manifest.loads(json.dumps(document))
        assert not manifest.genuine(kit, signature, KEY)
