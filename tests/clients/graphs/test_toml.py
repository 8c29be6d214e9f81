"""What people write by hand becomes the graph they meant, or a complaint that says where and what to do."""

from pathlib import Path

import pytest
from attrs import evolve

from clients.distbuild import BuildRequest, Cmd, Container, Job
from clients.graphs import GraphBuilder, artifact
from clients.graphs.files import find
from clients.graphs.text import BadText
from clients.graphs.toml import BadGraphFile, parse

FILES = {"a.c": "a", "b.c": "b", "a.h": "ah", "include/x.h": "x", "include/deep/y.h": "y", ".hidden.h": "no"}
PATH = "PATH=/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def built(text: str, tree: Path) -> BuildRequest:
    return parse(text, "g.toml", GraphBuilder(tree), lambda pattern: find(tree, pattern))


def jobs(text: str, tree: Path) -> dict[str, Job]:
    return {job.name: job for job in built(text, tree).graph.jobs}


def complaints(text: str, tree: Path) -> tuple[str, ...]:
    with pytest.raises(BadGraphFile) as refusal:
        built(text, tree)
    return refusal.value.problems


def test_a_line_of_shell(tree: Path) -> None:
    """`run` is a shell script that ends at its first failure, in the source directory, with a plain PATH."""
    job = jobs('[jobs.a]\nrun = "cc -c a.c -o ${out}/a.o"\ninputs = ["a.c"]', tree)["a"]
    assert job.inputs == ("a.c",)
    assert job.cmds == (
        Cmd(
            exec=("/bin/sh", "-ec", "cc -c a.c -o {{.OutputDir}}/a.o"),
            environ=(PATH,),
            working_directory="{{.SourceDir}}",
        ),
    )


def test_all_that_a_job_can_say(tree: Path) -> None:
    """Every key has its effect: files are written first, commands run in order, defaults give way."""
    text = """
        [build]
        name = "everything"
        keep_going = true
        [vars]
        opt = "-O2"
        flags = "${opt} -I${src}/include"
        [defaults]
        env = { LANG = "C", KEEP = "1" }
        timeout = "1m30s"
        cwd = "${out}"
        [jobs.one]
        cmds = [["cc", "${flags}"], ["strip", "${out}/x"]]
        write = [{ file = "note", text = "in ${src}" }, { file = "empty", text = "" }]
        env = { LANG = "en" }
        [jobs.two]
        cmd = ["true"]
        timeout = 5
        needs = { os = "linux", gpu = "yes" }
        cwd = "/"
        deps = ["one"]
    """
    request = built(text, tree)
    one, two = request.graph.jobs
    assert (request.name, request.keep_going) == ("everything", True)
    run = Cmd(environ=("KEEP=1", "LANG=en", PATH), working_directory="{{.OutputDir}}")
    assert one.cmds == (
        Cmd(cat_output="{{.OutputDir}}/note", cat_template="in {{.SourceDir}}"),
        Cmd(cat_output="{{.OutputDir}}/empty"),
        evolve(run, exec=("cc", "-O2 -I{{.SourceDir}}/include")),
        evolve(run, exec=("strip", "{{.OutputDir}}/x")),
    )
    assert (one.timeout_seconds, two.timeout_seconds) == (90.0, 5.0)
    assert (one.needs, two.needs) == ((), ("gpu=yes", "os=linux"))
    assert (two.deps, two.cmds[0].working_directory) == ((one.id,), "/")


def test_a_job_may_have_a_type(tree: Path) -> None:
    """Its arguments are JSON, its dependencies' results come in their order."""
    text = """
        [jobs.list]
        type = "depsolve"
        args = { packages = ["a", "b"], limit = 2 }
        [jobs.note]
        run = "echo"
        [jobs.image]
        type = "osbuild:s390x"
        channel = "org-1"
        deps = ["note", "list"]
        after_failure = true
        needs = { arch = "s390x" }
    """
    made = jobs(text, tree)
    assert (made["list"].job_type, made["list"].args) == ("depsolve", '{"packages":["a","b"],"limit":2}')
    image = made["image"]
    assert (image.channel, image.args, image.after_failure) == ("org-1", "", True)
    assert (image.deps, image.needs) == ((made["note"].id, made["list"].id), ("arch=s390x",))
    other = jobs(text.replace('"note", "list"', '"list", "note"'), tree)
    assert other["image"].id != image.id


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('type = ""', "at least one character"),
        ('type = "x"\nrun = "true"', "run"),
        ('type = "x"\ninputs = "a.c"', "inputs"),
        ('channel = "c"', "no type"),
        ('type = "x"\nargs = 1970-01-01', "JSON"),
        ('type = "x"\nargs = [nan]', "JSON"),
    ],
)
def test_types_and_commands_exclude_each_other(tree: Path, table: str, words: str) -> None:
    """And what JSON cannot say, no worker can be told."""
    with pytest.raises(BadGraphFile) as caught:
        built(f"[jobs.one]\n{table}", tree)
    assert words in str(caught.value)


def test_each_makes_a_job_for_every_file(tree: Path) -> None:
    """The file is an input of its job, and `${file}` and `${stem}` tell the jobs apart."""
    (tree / "b.h").write_text("bh")
    made = jobs('[jobs."${stem}.o"]\neach = "*.c"\ninputs = "${stem}.h"\nrun = "cc ${file}"', tree)
    assert {name: job.inputs for name, job in made.items()} == {"a.o": ("a.c", "a.h"), "b.o": ("b.c", "b.h")}
    assert made["b.o"].cmds[0].exec[2] == "cc b.c"


def test_a_dependency_is_named_by_its_use(tree: Path) -> None:
    """`${dep:NAME}` makes the dependency and stands for its artifact; the order in the file is free."""
    text = '[jobs.last]\nrun = "cat ${dep:first/x.o}/f"\n[jobs."first/x.o"]\nrun = "true"'
    made = jobs(text, tree)
    assert list(made) == ["first/x.o", "last"]
    assert made["last"].deps == (made["first/x.o"].id,)
    assert made["last"].cmds[0].exec[2] == f"cat {artifact(made['first/x.o'], 'f')}"


def test_a_pattern_repeats_its_word(tree: Path) -> None:
    """A word with `${dep:PATTERN}` comes once for each job that matches, in a shell line and in a command."""
    text = """
        [jobs."o/${stem}"]
        each = "*.c"
        run = "cc ${file}"
        [jobs.shell]
        run = "ld  -L${dep:o/*}/lib\\t-o ${out}/x ${dep:o/?}/*.o"
        [jobs.words]
        cmd = ["ld", "${dep:o/*}/a b.o", "-o"]
        [jobs.all]
        deps = ["*"]
    """
    made = jobs(text, tree)
    a, b = made["o/a"], made["o/b"]
    directories = f"ld  -L{artifact(a)}/lib -L{artifact(b)}/lib"
    files = f"{artifact(a)}/*.o {artifact(b)}/*.o"
    assert made["shell"].cmds[0].exec[2] == f"{directories}\t-o {{{{.OutputDir}}}}/x {files}"
    assert made["words"].cmds[0].exec == ("ld", artifact(a, "a b.o"), artifact(b, "a b.o"), "-o")
    assert set(made["all"].deps) == {a.id, b.id, made["shell"].id, made["words"].id}


def test_the_shell_keeps_its_own_variables(tree: Path) -> None:
    """`$${x}` leaves `${x}` to the shell; `$x`, `$(x)` and distbuild's own templates are not touched."""
    job = jobs("[jobs.a]\nrun = 'echo $${x} $y $(date) $$ {{.OutputDir}}'", tree)["a"]
    assert job.cmds[0].exec[2] == "echo ${x} $y $(date) $$ {{.OutputDir}}"


def test_patterns_find_sources(tree: Path) -> None:
    """`**` crosses directories, hidden files are left alone, and the result is sorted."""
    assert find(tree, "**/*.h") == ["a.h", "include/deep/y.h", "include/x.h"]
    assert find(tree, "include/**") == ["include/deep/y.h", "include/x.h"]
    assert find(tree, ".*.h") == [".hidden.h"]
    (tree / "odd[1].c").write_text("")
    assert find(tree, "odd[1].c") == ["odd[1].c"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("*.f", "matches no file below"),
        ("include", "is a directory; write include/*"),
        ("../*", "has an empty, '.' or '..' component"),
        ("/etc/*", "is absolute"),
    ],
)
def test_patterns_that_find_nothing(tree: Path, pattern: str, words: str) -> None:
    """A pattern without a match is a mistake, and none leads out of the source directory."""
    with pytest.raises(BadText, match=words.replace("*", r"\*")):
        find(tree, pattern)


def test_complaints_name_file_line_key_and_remedy(tree: Path) -> None:
    """Everything wrong with the tables is told at once, each with its place and what is known."""
    text = """\
[biuld]
name = "x"
[vars]
src = "mine"
[jobs.a]
rnu = "true"
[jobs.b]
run = 5
timeout = "soon"
[jobs.c]
run = "x"
cmd = ["x"]
[jobs.d]
cmd = "gcc -c"
env = { A = 1 }
[jobs.e]
write = { file = "x" }
[jobs.f]
timeout = 1
"""
    assert complaints(text, tree) == (
        "g.toml:1: biuld: is not known; did you mean 'build'?",
        "g.toml:6: jobs.a.rnu: is not known; did you mean 'run'?",
        "g.toml:8: jobs.b.run: must be a string or a list of strings",
        'g.toml:9: jobs.b.timeout: must be a duration like "30s", "1m30s" or "250ms", '
        "or a positive number of seconds",
        "g.toml:10: jobs.c: says more than one of run, cmd and cmds; keep one",
        "g.toml:14: jobs.d.cmd: must be a list of words, the program first; for a line of shell use run",
        'g.toml:15: jobs.d.env: must be a table of strings, as in { LANG = "C" }',
        'g.toml:17: jobs.e.write: must be { file = "name", text = "what to write" }, or a list of such',
        "g.toml:18: jobs.f: has nothing to do; give it a run, cmd, cmds, write or image",
        "g.toml:4: vars.src: cannot be a variable's name; use letters, digits, _ and -",
    )


def test_unknown_names_are_refused_with_a_suggestion(tree: Path) -> None:
    """A misspelt job, variable or input is found before anything is sent anywhere."""
    text = """\
[jobs.compile]
run = "true"
[jobs.link]
run = "ld ${dep:complie}/x"
[jobs.test]
run = "true"
deps = ["lnik"]
[jobs.all]
deps = ["nothing/*"]
"""
    assert complaints(text, tree) == (
        "g.toml:4: jobs.link.run: there is no job 'complie'; did you mean 'compile'?",
        "g.toml:7: jobs.test.deps: there is no job 'lnik'; did you mean 'link'?",
        "g.toml:9: jobs.all.deps: no other job's name matches 'nothing/*'",
    )
    text = """\
[jobs.a]
run = "cp ${scr}/x ${out}"
inputs = "a.c"
[jobs.b]
run = "${unclosed"
[jobs.c]
run = "true"
inputs = ["*.f"]
"""
    assert complaints(text, tree) == (
        "g.toml:2: jobs.a.run: the variable ${scr} is not known here; did you mean 'src'?"
        " (for the shell's own, write $${scr} or $scr)",
        "g.toml:5: jobs.b.run: '${unclosed' is never closed with '}'",
        f"g.toml:8: jobs.c.inputs: the input '*.f' matches no file below {tree}",
    )


def test_a_job_that_cannot_be_made_is_complained_about_once(tree: Path) -> None:
    """An input that cannot be read is named with the reason; those who wait for the job are not blamed."""

    def read(path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    text = '[jobs.a]\nrun = "true"\ninputs = "a.c"\n[jobs.b]\nrun = "true"\ndeps = ["a"]'
    with pytest.raises(BadGraphFile) as refusal:
        parse(text, "g.toml", GraphBuilder(tree, read=read), lambda pattern: find(tree, pattern))
    assert refusal.value.problems == ("g.toml:1: jobs.a: cannot read the input a.c: Permission denied",)


def test_cycles_are_named(tree: Path) -> None:
    """Jobs that wait for one another are named in the order in which they wait."""
    text = '[jobs.a]\nrun = "${dep:b}/x"\n[jobs.b]\nrun = "true"\ndeps = ["a"]'
    assert complaints(text, tree) == ("g.toml: jobs wait for one another: a -> b -> a",)


def test_twins_are_refused(tree: Path) -> None:
    """Neither two jobs of one name nor two jobs that do the same can be told apart."""
    assert complaints('[jobs.x]\neach = "*.c"\nrun = "true"', tree) == (
        "g.toml:1: jobs.x: there are two jobs 'x'; use ${file} or ${stem} in the name",
    )
    assert complaints('[jobs.x]\nrun = "true"\n[jobs.y]\nrun = "true"', tree) == (
        "g.toml:3: jobs.y: job 'y': the job 'x' already does exactly the same;"
        " use that one, or make their commands differ",
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "g.toml: has no jobs; write a table [jobs.NAME] for each"),
        ("jobs = 5", "g.toml:1: jobs: must be a table"),
        ("[jobs]\na = 5", "g.toml:2: jobs.a: must be a table"),
        ("a = [1", "g.toml: not valid TOML: "),
        ("[vars]\na = 5", "g.toml:2: vars.a: must be a string"),
        ('[jobs.a]\ncmds = "gcc"', "g.toml:2: jobs.a.cmds: must be a list of commands, each a list of words"),
        ("[jobs.a]\ncwd = 1", "g.toml:2: jobs.a.cwd: must be a string"),
        ("[build]\nkeep_going = 1", "g.toml:2: build.keep_going: must be true or false"),
        (
            '[vars]\na = "${b}"\n[jobs.x]\nrun="a"',
            "g.toml:2: vars.a: the variable ${b} is not known here; known are ${src}, ${out}"
            " (for the shell's own, write $${b} or $b)",
        ),
    ],
)
def test_broken_files(tree: Path, text: str, complaint: str) -> None:
    """A file that is no graph at all says so."""
    assert any(problem.startswith(complaint) for problem in complaints(text, tree))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [('"250ms"', 0.25), ('"1.5s"', 1.5), ('"1h2m3s"', 3723.0), ("7", 7.0), ("0.5", 0.5)],
)
def test_durations(tree: Path, written: str, seconds: float) -> None:
    """Durations are written with units, or as seconds."""
    assert jobs(f'[jobs.a]\nrun="true"\ntimeout = {written}', tree)["a"].timeout_seconds == seconds


@pytest.mark.parametrize("written", ['""', '"5"', '"5 s"', '"-5s"', "0", "-1", "inf", "nan", "true", "[1]"])
def test_what_is_no_duration(tree: Path, written: str) -> None:
    """Anything else is refused rather than guessed at."""
    (complaint,) = complaints(f'[jobs.a]\nrun="true"\ntimeout = {written}', tree)
    assert complaint.startswith("g.toml:3: jobs.a.timeout: must be a duration")


@pytest.mark.parametrize(
    ("written", "container"),
    [
        ('"box:1"', Container(image="box:1")),
        (
            '{ name = "box:1", cpu = 0.5, memory = "64M", disk = 5, network = true, ports = ["80/tcp"] }',
            Container(image="box:1", cpu=0.5, memory=64 << 20, disk=5, network=True, ports=("80/tcp",)),
        ),
    ],
)
def test_images(tree: Path, written: str, container: Container) -> None:
    """By name, or with what a container of it may use; other images make other jobs."""
    job = jobs(f'[jobs.a]\nrun="true"\nimage = {written}', tree)["a"]
    assert job.container == container
    assert job.id != jobs('[jobs.a]\nrun="true"', tree)["a"].id
    assert jobs(f"[jobs.a]\nimage = {written}", tree)["a"].cmds == ()


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("5", "must be the name of an image, or a table of it"),
        ("{ cpu = 1 }", "must be the name of an image, or a table of it"),
        ('{ name = "b", ram = 1 }', "must be the name of an image, or a table of it"),
        ('{ name = "b", memory = "much" }', "memory must be a size"),
        ('{ name = "b", cpu = true }', "cpu must be a positive number"),
        ('{ name = "b", ports = ["http"] }', "is not right: 'http' is no port as in 80/tcp"),
        ('""', "is not right: the image's name must have"),
    ],
)
def test_what_is_no_image(tree: Path, written: str, complaint: str) -> None:
    """Anything else is refused."""
    (said,) = complaints(f'[jobs.a]\nrun="true"\nimage = {written}', tree)
    assert said.startswith(f"g.toml:3: jobs.a.image: {complaint}")
