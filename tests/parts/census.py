"""Every place in the code that changes a file or a folder, or starts who may, found by reading it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CODE = Path(__file__).parents[2] / "appliance"

OF_OS = {
    *("write", "pwrite", "writev", "sendfile", "copy_file_range", "ftruncate", "truncate"),
    *("replace", "rename", "renames", "link", "symlink", "unlink", "remove", "rmdir", "removedirs"),
    *("mkdir", "makedirs", "mkfifo", "mknod", "posix_fallocate"),
    *("chmod", "fchmod", "lchmod", "chown", "fchown", "lchown", "utime", "setxattr", "removexattr"),
    *("system", "popen", "posix_spawn", "posix_spawnp", "execv", "execve", "execvp", "execl"),
}
OF_PATHS = {
    *("write_bytes", "write_text", "rename", "unlink", "touch", "mkdir", "rmdir"),
    *("symlink_to", "hardlink_to", "chmod", "lchmod"),
    *("save", "tofile"),  # a picture's, an array's
}
OURS = {"write_whole", "rename", "private_folder"}
"""What `whole_file` gives to the others."""
OF_MODULES = {
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move", "rmtree", "unpack_archive"},
    "sqlite3": {"connect"},
    "shelve": {"open"},
    "dbm": {"open"},
    # what another program does is its caller's, too
    "subprocess": {"run", "Popen", "call", "check_call", "check_output", "getoutput"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
}
OF_CLASSES = {
    *("TemporaryDirectory", "NamedTemporaryFile", "TemporaryFile", "mkdtemp", "mkstemp"),
    *("FileHandler", "RotatingFileHandler", "TimedRotatingFileHandler", "WatchedFileHandler"),
    *("FileIO", "ZipFile"),
}
"""However they are called: of tempfile, logging.handlers, io and zipfile."""
WRITING = set("wax+")
MAY_WRITE = re.compile(
    rf"\b(open|replace|{'|'.join(OURS | OF_OS | OF_PATHS | OF_CLASSES | {*OF_MODULES})})\b *[(.]"
    rf"|\bfrom (os|{'|'.join(OF_MODULES)}) import\b"
)


def writes() -> Iterator[str]:
    """Each as `module:Class.function what`."""
    for path in sorted(CODE.rglob("*.py")):
        text = path.read_text()
        if MAY_WRITE.search(text):  # the others need not be parsed
            module = ".".join(path.relative_to(CODE).with_suffix("").parts)
            yield from (f"{module}:{where} {what}" for where, what in written_in(text))


def written_in(text: str) -> Iterator[tuple[str, str]]:
    """The function, and what it calls there."""
    yield from _in(ast.parse(text), ())


def _in(node: ast.AST, inside: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        inside = (*inside, node.name)
    if isinstance(node, ast.Call) and (what := _written_by(node)):
        yield ".".join(inside) or "<module>", what
    if isinstance(node, ast.ImportFrom):
        yield from ((".".join(inside) or "<module>", what) for what in _brought_in(node))
    for child in ast.iter_child_nodes(node):
        yield from _in(child, inside)


def _brought_in(node: ast.ImportFrom) -> Iterator[str]:
    """What would be called by its bare name, and so be found nowhere else."""
    names = OF_OS | {"open"} if node.module == "os" else OF_MODULES.get(node.module or "", set())
    for one in node.names:
        if one.name in names:
            yield f"import {node.module}.{one.name}"


def _written_by(call: ast.Call) -> str | None:
    match call.func:
        case ast.Name("open"):
            return f"open {_mode(call, 1)}" if _mode(call, 1) else None
        case ast.Name(name) if name in OURS | OF_CLASSES:
            return name
        case ast.Attribute(_, name) if name in OF_CLASSES:
            return name
        case ast.Attribute(ast.Name("os"), "open"):
            flags = ast.unparse(call.args[1])
            changes = any(flag in flags for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"))
            # flags that are a name are looked up by whoever reads the row
            return "os.open" if changes or "O_RDONLY" not in flags else None
        case ast.Attribute(ast.Name("os"), name):
            return f"os.{name}" if name in OF_OS else None
        case ast.Attribute(ast.Name(module), name) if module in OF_MODULES:
            return f"{module}.{name}" if name in OF_MODULES[module] else None
        case ast.Attribute(ast.Name(), "open") if _mode(call, 1):  # av, wave, tarfile, io
            return f"open {_mode(call, 1)}"
        case ast.Attribute(_, "open") if _mode(call, 0):
            return f"open {_mode(call, 0)}"
        case ast.Attribute(_, "replace") if len(call.args) == 1 and not call.keywords:
            return "replace"  # a path's: a text's has two, a time's has names
        case ast.Attribute(_, name):
            return name if name in OF_PATHS else None
    return None


def _mode(call: ast.Call, place: int) -> str | None:
    """The mode of an `open` that writes; "?" where it is not to be read here."""
    named = [one.value for one in call.keywords if one.arg == "mode"]
    is_built_in = isinstance(call.func, ast.Name) or ast.unparse(call.func) == "io.open"
    for one in named + call.args[place : place + 1]:
        if not (isinstance(one, ast.Constant) and isinstance(one.value, str)):
            if is_built_in or one in named:
                return "?"
            continue
        if WRITING & set(one.value.partition(":")[0]) and set(one.value) <= set("rwaxbtU+:gzx2|*"):
            return one.value
    return None
