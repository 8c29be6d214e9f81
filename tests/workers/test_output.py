"""Output is kept up to its limit."""

from workers.output import Output


def test_output_is_kept_as_it_came() -> None:
    """Both streams, in order, and closing adds nothing."""
    output = Output.limited(10)
    output.append(b"12345", b"")
    output.append(b"67890", b"\xff\x00")
    output.close()
    assert (bytes(output.stdout.kept), bytes(output.stderr.kept)) == (b"1234567890", b"\xff\x00")
    assert output.size == 12


def test_beyond_the_limit_only_the_number_of_bytes_is_kept() -> None:
    """Each stream has its own limit; the note is added once."""
    output = Output.limited(4)
    for _ in range(3):
        output.append(b"123", b"1")
    output.close()
    output.close()
    assert output.stdout.kept == b"1231\n[output truncated: 5 bytes dropped]\n"
    assert output.stderr.kept == b"111"
