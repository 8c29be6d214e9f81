"""What can be taken away from Terzetto, a promise at a time; some test must miss each of it.

A mutant is one change of one place in the code. `tests` are those that ought to miss what is gone, and soon;
if none of them does, the rest of the quick ones is asked.
"""

from attrs import frozen

WAL = "tests/crash/test_power_cuts.py"
KERNEL = "tests/crash/test_kernel_faults.py"
DAMAGE = "tests/crash/test_damage.py"
TWO = "tests/crash/test_two_coordinators.py"
SQLITE = "tests/events/test_sqlite.py"
LOG = "tests/events/test_log.py"
FILES = "tests/events/test_files.py"
SEGMENTS = "tests/events/test_segments.py"
SNAPSHOT = "tests/events/test_snapshot.py"
AUDIT = "tests/events/hindsight/test_audit.py"
DECIDE = "tests/events/decide"
GOLDEN = "tests/events/test_golden.py"
JOURNAL = "tests/coordinator/test_journal.py"
KEEPER = "tests/coordinator/test_keeper.py"
REST = ("tests/events", "tests/coordinator")


@frozen
class Mutant:
    """`gone` says what is taken away: in `file`, `old` becomes `new`."""

    gone: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    # --- durability
    Mutant(
        "fsync at each commit",
        "events/sqlite.py",
        "PRAGMA synchronous=FULL",
        "PRAGMA synchronous=NORMAL",
        (WAL,),
    ),
    Mutant("any fsync", "events/sqlite.py", "PRAGMA synchronous=FULL", "PRAGMA synchronous=OFF", (WAL,)),
    Mutant(
        "the batch as one transaction",
        "events/sqlite.py",
        "            connection.execute(_statement(len(values) // len(COLUMN_NAMES)), values)\n"
        "        return\n",
        "            for place in range(0, len(values), len(COLUMN_NAMES)):\n"
        "                connection.execute(_statement(1), values[place : place + len(COLUMN_NAMES)])\n"
        "        return\n",
        (WAL,),
    ),
    Mutant(
        "answers only after the commit",
        "coordinator/journal.py",
        "        await batch.stored.wait()  # bounded by the disk",
        "        await trio.lowlevel.checkpoint()  #",
        (JOURNAL,),
    ),
    Mutant(
        "views only of what is durable",
        "coordinator/core.py",
        "            seen = look(self.journal.state)\n            if await self.journal.settled():\n",
        "            seen = look(self.journal.state)\n            if True:\n",
        (JOURNAL,),
    ),
    Mutant(
        "streams only of what is durable",
        "coordinator/journal.py",
        "            texts = await self.run_sync(self._log.append, batch.records)\n",
        "            from events.codec import encode\n"
        "            self._publish(batch.records, [encode(record) for record in batch.records])\n"
        "            texts = await self.run_sync(self._log.append, batch.records)\n",
        (JOURNAL,),
    ),
    Mutant(
        "the end after a failed write",
        "coordinator/journal.py",
        "        except LogFull as error:\n            await",
        "        except Exception as error:\n            await",
        (JOURNAL, KERNEL),
    ),
    Mutant(
        "the state rebuilt after a full disk",
        "coordinator/journal.py",
        "        self.state = await self.run_sync(self._restore)\n        for lost",
        "        for lost",
        (JOURNAL,),
    ),
    Mutant(
        "the restraint after a failed fsync",
        "events/sqlite.py",
        "            if not isinstance(error, LogFull):\n",
        "            if False:\n",
        (SQLITE,),
    ),
    Mutant(
        "bytes of sources before their fact",
        "coordinator/blobs.py",
        "        os.fsync(self._file)\n",
        "",
        ("tests/coordinator/test_blobs.py",),
    ),
    Mutant(
        "the word of a failing checkpoint",
        "events/sqlite.py",
        "            if not (isinstance(error, apsw.BusyError) or _is_full(error, self._connection)):\n"
        "                raise\n",
        "            pass\n",
        (SQLITE,),
    ),
    Mutant(
        "the comparison of State with its log as a snapshot is made",
        "coordinator/keeping.py",
        "    if live and digest(state) != live:\n",
        "    if False:\n",
        (KEEPER,),
    ),
    # --- the archive
    Mutant(
        "the segment before its records go",
        "events/sqlite.py",
        "        if upto > self._meta.archived and self._archive.end(self._meta.archived, upto) != chain:\n",
        "        if False:\n",
        (SEGMENTS,),
    ),
    Mutant(
        "the sync of a segment before it has its name",
        "events/files.py",
        "            os.fsync(file.fileno())\n",
        "",
        (FILES,),
    ),
    Mutant(
        "the sync of a segment's name",
        "events/files.py",
        "        draft.unlink(missing_ok=True)\n    sync_directory(path.parent)\n",
        "        draft.unlink(missing_ok=True)\n",
        (FILES,),
    ),
    Mutant(
        "the last chain hash of a segment",
        "events/segments.py",
        "    if not chain or chain != ending:\n",
        "    if False:\n",
        (SEGMENTS,),
    ),
    Mutant(
        "the chain of what is archived",
        "events/segments.py",
        "    whole = verified(entries, log.chain_at(after) or GENESIS, after)\n",
        "    whole = entries\n",
        (SEGMENTS,),
    ),
    Mutant(
        "the check of the chain as the log is replayed",
        "events/log.py",
        "        if previous != chain:\n",
        "        if False:\n",
        (SQLITE,),
    ),
    # --- one writer, one order
    Mutant(
        "the end of the log where a writer goes on",
        "events/sqlite.py",
        "WHEN new.position <> ifnull((SELECT max(position) FROM records), 0) + 1\n",
        "WHEN new.position < 0\n",
        (SQLITE, TWO),
    ),
    Mutant(
        "the look whether somebody else wrote before records are let go of",
        "events/sqlite.py",
        "            if _last(self._connection) != (self._head, self._chain):\n",
        "            if False:\n",
        (SEGMENTS,),
    ),
    Mutant(
        "the lock",
        "events/sqlite.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        (SQLITE,),
    ),
    Mutant(
        "the check of positions as records are appended",
        "events/log.py",
        "        assert record.position == expected, ",
        "        assert True, ",
        (LOG,),
    ),
    Mutant(
        "the check of the chain",
        "events/log.py",
        "        if entry.chain != previous:\n",
        "        if False:\n",
        (LOG, AUDIT),
    ),
    Mutant(
        "the check of positions as records are read",
        "events/log.py",
        "        if entry.record.position != position:\n",
        "        if False:\n",
        (LOG, AUDIT),
    ),
    Mutant(
        "the next epoch",
        "events/decide/coordinator.py",
        "epoch=state.epoch + 1",
        "epoch=max(1, state.epoch)",
        (DECIDE,),
    ),
    # --- leases and results
    Mutant(
        "the comparison of leases",
        "events/decide/workers.py",
        "(command.native and result.lease != id_)",
        "(command.native and False)",
        (DECIDE,),
    ),
    Mutant(
        "the count of attempts",
        "events/decide/workers.py",
        "        attempt=job.attempt + 1,\n",
        "        attempt=1,\n",
        (DECIDE,),
    ),
    Mutant(
        "the word to a worker whose lease has ended",
        "events/folding/jobs.py",
        "    if revoke and state.workers[held.worker].native:\n",
        "    if False:\n",
        (DECIDE,),
    ),
    Mutant(
        "the comparison of digests",
        "events/decide/jobs.py",
        "is_known = (job.id, digest) in state.results",
        "is_known = any(id_ == job.id for id_, _ in state.results)",
        (DECIDE, GOLDEN),
    ),
    Mutant(
        "the sources in a job's digest",
        "events/decide/jobs.py",
        "_canonical((spec.job, commands, inputs, deps,",
        "_canonical((spec.job, commands, [], deps,",
        (DECIDE,),
    ),
    Mutant(
        "the same build for the same key",
        "events/decide/builds.py",
        "    if command.key and command.key in state.keys:\n",
        "    if False:\n",
        (DECIDE,),
    ),
    Mutant(
        "the limit of losses",
        "events/decide/jobs.py",
        "job.losses + 1 >= state.settings.losses_max",
        "False",
        (DECIDE,),
    ),
    Mutant(
        "the renewal of leases at a start",
        "events/folding/workers.py",
        "        state.workers[id_] = state.workers[id_]._replace(last_seen=state.at)\n    state.heard",
        "        pass\n    state.heard",
        (DECIDE,),
    ),
    # --- time, streams, recovery
    Mutant(
        "the grace after a stall",
        "coordinator/alarm.py",
        "        if idle_seconds > self._stall_seconds:\n",
        "        if False:\n",
        ("tests/coordinator/test_alarm.py",),
    ),
    Mutant(
        "time that does not fall",
        "events/decide/__init__.py",
        "now=max(context.now, state.at)",
        "now=context.now",
        (DECIDE,),
    ),
    Mutant(
        "streams that go on with the very next record",
        "coordinator/follow.py",
        "            self.cursor = page.upto\n",
        "            self.cursor = Position(page.upto + 1)\n",
        ("tests/coordinator/test_follow.py",),
    ),
    Mutant(
        "streams that are cut amid a command",
        "coordinator/follow.py",
        "        if entries[place - 1].record.at != entries[place].record.at:\n",
        "        if place:\n",
        ("tests/coordinator/test_follow.py",),
    ),
    Mutant(
        "viewers who join are told again what they have read",
        "coordinator/http/audience.py",
        "has_none, has_all = follower.cursor < first, follower.cursor >= last\n",
        "has_none, has_all = True, False\n",
        ("tests/coordinator/http/test_audience.py",),
    ),
    Mutant(
        "quiet reports recorded before the tick",
        "coordinator/alarm.py",
        "            self._quiet.record()  # in one breath with the tick: whoever was heard was not silent\n",
        "            pass\n",
        ("tests/coordinator/test_quiet.py",),
    ),
    Mutant(
        "the look beyond the end of the write-ahead log",
        "events/sqlite.py",
        "    _check_end(connection, path)\n",
        "",
        (DAMAGE,),
    ),
    Mutant(
        "the checksum of snapshots",
        "events/snapshot.py",
        "sha256(body).digest() != data[-_CHECKSUM_BYTES:]",
        "False",
        (SNAPSHOT,),
    ),
    Mutant(
        "the refusal of logs from the future",
        "events/sqlite.py",
        "    if written_in > codec.FORMAT:\n",
        "    if False:\n",
        (SQLITE,),
    ),
    Mutant(
        "a write-ahead log or none",
        "events/sqlite.py",
        '    if connection.pragma("journal_mode", "wal") != "wal":',
        '    connection.execute("PRAGMA journal_mode=WAL")\n    if False:',
        (f"{KERNEL}::test_a_disk_that_fails",),
    ),
)
