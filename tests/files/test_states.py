"""What tells that a file is another than it was."""

from longtail.files.states import fingerprint


def test_a_frame_that_is_written_over_makes_another_clip(tmp_path):
    clip = tmp_path / "clip"
    clip.mkdir()
    for name in ("0.png", "1.png"):
        (clip / name).write_bytes(b"a" * 100)
    before = fingerprint([str(clip)])
    assert fingerprint([str(clip)]) == before
    (clip / "1.png").write_bytes(b"b" * 200)
    assert fingerprint([str(clip)]) != before
