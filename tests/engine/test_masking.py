"""Secret configuration is hidden in messages, however it is written there."""

from engine.masking import Mask


def test_messages_are_without_secret_values() -> None:
    mask = Mask(["hunter2", 'quo"ted\n', '{"user": "ann", "tokens": ["t0ken", 7]}', "ab"])
    assert mask.text("refused hunter2!") == "refused [secret]!"
    assert mask.text(repr('quo"ted\n')) == "'[secret]'"
    assert mask.text(r'{"p": "quo\"ted\n"}') == '{"p": "[secret]"}'
    assert mask.text("t0ken of ann, 7") == "[secret] of [secret], 7"
    assert mask.text("ab is too short to be told from chance") == "ab is too short to be told from chance"


def test_the_longest_is_hidden_first() -> None:
    assert Mask(["hunter", "hunter2"]).text("hunter2 hunter") == "[secret] [secret]"


def test_events_keep_all_but_their_message() -> None:
    event = {"diagnosticEvent": {"message": "it is hunter2", "severity": "error"}}
    assert Mask(["hunter2"]).event(event) == {"diagnosticEvent": {"message": "it is [secret]", "severity": "error"}}
    assert Mask(["hunter2"]).event({"summaryEvent": {"durationSeconds": 1}}) == {"summaryEvent": {"durationSeconds": 1}}
    assert Mask([]).event(event) == event
