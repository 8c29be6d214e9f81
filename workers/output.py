"""What a job prints, kept up to a limit and drained beyond it, so that no job blocks on its own words."""

from attrs import define, field, frozen

OUTPUT_BYTES_MAX = 64 << 20


@define(eq=False)
class Stream:
    """The bytes of stdout or stderr, all commands of a job after each other."""

    bytes_max: int
    kept: bytearray = field(factory=bytearray)
    dropped: int = 0

    def append(self, data: bytes) -> None:
        room = self.bytes_max - len(self.kept)
        self.kept += data[:room]
        self.dropped += max(0, len(data) - room)

    def close(self) -> None:
        """Nothing more will come: say how much there was beyond the limit."""
        if self.dropped:
            self.kept += f"\n[output truncated: {self.dropped} bytes dropped]\n".encode()
            self.dropped = 0


@frozen(eq=False)
class Output:
    """Both streams of one job."""

    stdout: Stream
    stderr: Stream

    @classmethod
    def limited(cls, bytes_max: int = OUTPUT_BYTES_MAX) -> "Output":
        """`bytes_max` is for each stream."""
        return cls(Stream(bytes_max), Stream(bytes_max))

    @property
    def size(self) -> int:
        """Bytes kept of both streams."""
        return len(self.stdout.kept) + len(self.stderr.kept)

    def append(self, stdout: bytes, stderr: bytes) -> None:
        if stdout:
            self.stdout.append(stdout)
        if stderr:
            self.stderr.append(stderr)

    def close(self) -> None:
        self.stdout.close()
        self.stderr.close()
