"""The structure of design: layers, names of databases, docstrings, the cost of an import."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import safeops
from safeops import errors
from safeops.execution.helper import declaration_of

SOURCE = Path(safeops.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
HELPERS = [
    name
    for name in safeops.__all__
    if inspect.isfunction(getattr(safeops, name))
    and re.match(r"(add|alter|create|drop|enforce|forget|relax|restore|set|validate)_|backfill$", name)
]
LOCKS = SOURCE.parents[1] / "docs/reference/locks.md"
STRONG = ("ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE")
SECTIONS = ("Steps:", "Args:", "Returns:", "Locks:", "Running it again:", "Offline:", "Example:")


FAMILIES = {"postgresql", "mysql", "sqlite"}


def code_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(SOURCE)))
def test_a_database_is_named_in_its_own_place_only(module: Path) -> None:
    parts = module.relative_to(SOURCE).with_suffix("").parts
    # A wing has what differs in a file or a folder of each family.
    if "databases" in parts or {*parts, parts[-1].rpartition("_")[-1]} & FAMILIES:
        return
    texts = {node.value for node in ast.walk(code_of(module)) if isinstance(node, ast.Constant)}
    assert not texts & {"postgresql", "mysql", "mariadb", "sqlite"}
    assert "dialect.name" not in module.read_text()


def test_one_module_knows_the_running_migration() -> None:
    knowing = {
        str(module.relative_to(SOURCE))
        for module in MODULES
        for node in ast.walk(code_of(module))
        if (isinstance(node, ast.Import) and any(one.name in ("alembic.op", "alembic.context") for one in node.names))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "alembic"
            and any(one.name in ("op", "context") for one in node.names)
        )
    }
    assert knowing == {"execution/migration.py"}


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_documents_what_it_does(name: str) -> None:
    doc = inspect.getdoc(getattr(safeops, name)) or ""
    missing = [section for section in SECTIONS if section not in doc]
    assert not missing
    places = [doc.index(section) for section in SECTIONS]
    assert places == sorted(places)
    example = inspect.cleandoc(doc[doc.index("Example:") + len("Example:") :])
    assert name in example
    compile(example, name, "exec")


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_declares_itself(name: str) -> None:
    declaration = declaration_of(getattr(safeops, name))
    assert declaration is not None and declaration.name == name
    drops = re.match("drop_(table|column|archives)", name) is not None
    assert declaration.loses is drops


def locks_of(name: str) -> str:
    found = re.search(r"Locks:(.*?)\n\n", inspect.getdoc(getattr(safeops, name)) or "", re.DOTALL)
    return " ".join(found[1].split()) if found else ""


@pytest.mark.parametrize("name", HELPERS)
def test_the_table_of_locks_names_the_strong_locks_that_a_helper_declares(name: str) -> None:
    rows = (line.split(" | ") for line in LOCKS.read_text().splitlines() if line.startswith("| `"))
    helpers, cell, *_ = next(row for row in rows if re.search(rf"`{name}[`(]", row[0]))
    locks = " ".join(locks_of(helper) for helper in re.findall(r"`(\w+)[`(]", helpers))
    # Docstrings of other helpers cover what works alike; an archive is not a table of the team.
    if not re.search(r"\bas ``|\bas to\b|of yours|your tables", f"{locks} {cell}"):
        assert [mode in locks for mode in STRONG] == [mode in cell for mode in STRONG]


@pytest.mark.parametrize("name", HELPERS)
def test_a_docstring_names_every_argument(name: str) -> None:
    doc = inspect.getdoc(getattr(safeops, name)) or ""
    parameters = inspect.signature(getattr(safeops, name)).parameters
    assert not [one for one in parameters if not re.search(rf"^\s+\*{{0,2}}{one}: ", doc, re.MULTILINE)]


def test_all_is_sorted_and_importable() -> None:
    assert safeops.__all__ == sorted(safeops.__all__)
    assert all(getattr(safeops, name) is not None for name in safeops.__all__)
    assert set(safeops.__all__) <= set(dir(safeops))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = safeops.nothing


def test_errors_have_their_own_numbers() -> None:
    classes = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.SafeOpsError)]
    numbers = [one.number for one in classes]
    assert len(set(numbers)) == len(numbers)
    for one in classes:
        assert re.search(rf"\b{one.__name__}\s+{one.number}\b", errors.__doc__ or "")


def test_an_error_survives_the_way_between_processes() -> None:
    import pickle

    error = errors.DuplicateRows("2 values", why="because", remedy="Do:", code="x()\ny()", state="All stands.")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (errors.DuplicateRows, str(error), error.code)


def test_importing_safeops_loads_no_database_and_no_operation() -> None:
    code = "import alembic.op, sqlalchemy, sys; import safeops; print(sorted(m for m in sys.modules if 'safeops' in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['safeops', 'safeops.homes']"


def test_no_public_name_is_a_module_too() -> None:
    """Importing the module would put it in the place of the function."""
    modules = {module.relative_to(SOURCE).with_suffix("").parts[0] for module in MODULES}
    assert not modules & {*safeops.__all__}
