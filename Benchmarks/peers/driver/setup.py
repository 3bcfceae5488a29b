"""Everything that the peers need, made once in .build/peers: virtual environments of pinned packages, the oneDNN
program built against either build of the library, and recurrence-bench."""
import hashlib
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = HERE.parent.parent
CACHE = REPOSITORY / ".build" / "peers"


class SetupFailure(Exception):
    """A sentence: what could not be had, and the command that said so."""


def run(command, what, **options):
    try:
        subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, **options)
    except FileNotFoundError:
        raise SetupFailure(f"{what} needs {command[0]}, which is not installed") from None
    except subprocess.CalledProcessError as error:
        raise SetupFailure(f"{what} failed with status {error.returncode}: {' '.join(map(str, command))}") from None


def _is_stale(stamp, text):
    return not stamp.exists() or stamp.read_text() != text


def environment(name):
    """A virtual environment with requirements/NAME.txt installed; made anew when that file has changed."""
    wanted = HERE / "requirements" / f"{name}.txt"
    place = CACHE / name
    stamp, text = place / "installed", wanted.read_text()
    if _is_stale(stamp, text):
        print(f"installing the packages of {wanted.name}", file=sys.stderr)
        run([sys.executable, "-m", "venv", "--clear", place], f"the environment {name}")
        # An index that cannot be reached is given up soon: the others may hold the package.
        run([place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--retries", "1", "--requirement", wanted], f"installing {wanted.name}")
        stamp.write_text(text)
    return place


def onednn_program(name):
    """The C++ program linked with the oneDNN of an environment; compiled anew when a source has changed."""
    place = environment(name)
    sources = sorted((HERE / "onednn").iterdir())
    text = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    program, stamp = CACHE / f"{name}-peer", CACHE / f"{name}-peer.sources"
    if _is_stale(stamp, text) or not program.exists():
        print(f"compiling {program.name}", file=sys.stderr)
        # The SYCL library names libraries of its own that this program never calls; the loader finds them, the linker
        # need not.
        run(["g++", "-std=c++17", "-O2", "-Wall", "-Wextra", HERE / "onednn" / "main.cpp", "-I", place / "include",
             "-L", place / "lib", "-ldnnl", "-Wl,--allow-shlib-undefined", f"-Wl,-rpath,{place / 'lib'}",
             "-Wl,--as-needed", "-lgomp", "-o", program], f"compiling {program.name}")
        stamp.write_text(text)
    return program


def recurrence_bench():
    run(["swift", "build", "--package-path", REPOSITORY, "-c", "release", "--product", "recurrence-bench"],
        "building recurrence-bench")
    return REPOSITORY / ".build" / "release" / "recurrence-bench"


def chosen_instruction_set(program):
    """What recurrence-bench selects on this processor: it stands in the labels of its cases."""
    listed = subprocess.run(
        [str(program), "--list", "--filter", "infer/lstm"], capture_output=True, text=True, check=True)
    return listed.stdout.split()[0].split("/")[4]
