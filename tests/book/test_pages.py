"""The pages as written: contents, labels, citations, glossary, data sets, the one address."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from pybtex.database import parse_file

from behaviorseq import list_datasets
from behaviorseq.datasets import CATALOG

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
TOC = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
FILES = [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]
GENERATED = {"book/measured"}  # by the build, from what the notebooks recorded
# What the first two chapters of the document are about; each needs a place in the glossary.
TERMS = """
    event; behavior; user; item; event log; history; session; implicit feedback; explicit feedback;
    collaborative filtering; content-based; cold start; candidate; ranking; full ranking;
    sampled ranking; leave-one-out; global time split; hr; recall; ndcg; mrr; map; coverage;
    novelty; popularity; popularity bias; tie; bootstrap interval; paired test; embedding;
    matrix factorisation; nearest neighbors; shrinkage; recency decay; hybrid; catalogue;
    long tail; lstm; gru; transformer; gcn; vae; tf-idf; sequential rule; als; ease
"""


def prose(path: Path) -> str:
    """Return the Markdown of a page or of a notebook, without its code blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return text


PAGES = {
    path.relative_to(ROOT).with_suffix("").as_posix(): prose(path)
    for path in sorted([*BOOK.glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")])
}
EVERYTHING = "\n".join(PAGES.values())
LABELS = re.findall(r"^\(([\w-]+)\)=$", EVERYTHING, re.MULTILINE)
each_page = pytest.mark.parametrize("name", PAGES)


def roles(text: str, *names: str) -> list[str]:
    """Return the targets of roles, ``x`` of both `x` and `text <x>`."""
    found = re.findall(rf"\{{(?:{'|'.join(names)})\}}`([^`]+)`", text)
    return [re.sub(r".*<(.+)>$", r"\1", target) for target in found]


def glossary() -> dict[str, str]:
    """Return the terms of the glossary and what is said of them."""
    (block,) = re.findall(r"```\{glossary\}\n(.*?)```", PAGES["book/glossary"], re.DOTALL)
    entries = re.findall(r"^(\S.*)\n((?: {4}.+\n)+)", block, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^\S", block, re.MULTILINE))
    return dict(entries)


def test_contents_and_pages_are_the_same() -> None:
    assert len(FILES) == len(set(FILES))
    assert set(FILES) - GENERATED == set(PAGES) - GENERATED


def test_labels_are_unique_and_every_chapter_has_one() -> None:
    assert len(LABELS) == len(set(LABELS))
    for name, text in PAGES.items():
        assert re.match(r"\([\w-]+\)=\n# ", text), f"{name} must start with a label and a title"


@each_page
def test_references_name_labels_pages_and_terms_that_exist(name: str) -> None:
    assert set(roles(PAGES[name], "ref")) <= set(LABELS)
    assert {term.lower() for term in roles(PAGES[name], "term")} <= {t.lower() for t in glossary()}
    folder = (ROOT / name).parent
    linked = {
        (folder / d).resolve().relative_to(ROOT).as_posix() for d in roles(PAGES[name], "doc")
    }
    assert linked <= set(FILES)


@each_page
def test_citations_are_in_the_bibliography(name: str) -> None:
    cited = {key for keys in roles(PAGES[name], "cite:p", "cite:t") for key in keys.split(",")}
    assert cited <= set(parse_file(BOOK / "references.bib").entries)


def test_bibliography_entries_are_complete_and_in_order() -> None:
    entries = parse_file(BOOK / "references.bib").entries
    keys = re.findall(r"^@\w+\{(.+),$", (BOOK / "references.bib").read_text(), re.MULTILINE)
    assert keys == sorted(keys)
    assert len(keys) == len(entries)
    for key, entry in entries.items():
        people = entry.persons.get("author") or entry.persons["editor"]
        assert all(person.last_names for person in people), key
        assert "others" not in {str(person) for person in people}, key
        assert re.search(rf"[a-z]+{entry.fields['year']}[a-z0-9]+$", key), key
        assert "title" in entry.fields, key
        for identifier, form in {"doi": r"10\.\d{4,5}/\S+", "eprint": r"\d{4}\.\d{4,5}"}.items():
            if identifier in entry.fields:
                assert re.fullmatch(form, entry.fields[identifier]), key


def test_a_work_is_listed_once() -> None:
    entries = parse_file(BOOK / "references.bib").entries.values()
    titles = [re.sub(r"\W", "", entry.fields["title"].lower()) for entry in entries]
    assert len(titles) == len(set(titles))


def test_glossary_is_in_order_and_has_the_terms_of_the_first_chapters() -> None:
    terms = [term.lower() for term in glossary()]
    assert terms == sorted(set(terms))
    assert {" ".join(term.split()) for term in TERMS.split(";")} <= set(terms)


@pytest.mark.parametrize(("term", "text"), glossary().items())
def test_a_term_is_explained_in_whole_sentences(term: str, text: str) -> None:
    assert text.rstrip().endswith((".", ".*")), term
    assert 6 <= len(text.split()) <= 60, term


@pytest.mark.parametrize("name", CATALOG)
def test_data_page_says_what_the_package_says(name: str) -> None:
    page, source, row = PAGES["book/datasets"], CATALOG[name], list_datasets().loc[name]
    (line,) = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    counts = [f"{row[column]:,}" for column in ("events", "users", "items")]
    assert cells[1:] == [*counts, *row[["behaviors", "times", "from", "megabytes"]].map(str)]
    assert f"(data-{name})=\n## {source.title}\n" in page
    for said in (source.times, source.licence, source.notes, source.url):
        assert said in page


def test_data_page_has_no_other_data_set() -> None:
    assert re.findall(r"^\| `([\w-]+)` \|", PAGES["book/datasets"], re.MULTILINE) == list(CATALOG)


def test_address_of_the_repository_is_written_in_few_places() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    address = config["repository"]["url"].removeprefix("https://")
    # pip reads pyproject.toml, a visitor README.md, and Colab the first cell of a notebook.
    allowed = {"_config.yml", "pyproject.toml", "README.md"}
    folders = ["book", "companion/behaviorseq", "notebooks", "tests", "benchmarks", ".github"]
    files = [p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file()]
    files += [p for p in ROOT.iterdir() if p.is_file()]
    for path in files:
        if path.suffix in {".py", ".md", ".yml", ".toml", ".ipynb", ".txt", ".bib"}:
            lines = [li for li in path.read_text(encoding="utf-8").splitlines() if address in li]
            name = path.relative_to(ROOT).as_posix()
            if name not in allowed and path.suffix != ".ipynb":
                assert not lines, name
            elif path.suffix == ".ipynb":
                assert len(lines) <= 1, name
                assert all("git+https://" in line for line in lines), name


@each_page
def test_no_text_is_in_raw_html(name: str) -> None:
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", PAGES[name], flags=re.DOTALL)
    assert not re.search(r"</?[a-zA-Z][\w-]*[ />]", re.sub(r"<https?:[^>]+>", "", without_code))


def test_what_is_shipped_with_the_pages_has_its_licence() -> None:
    licence = (BOOK / "_static" / "mathjax" / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    project = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert all(word in project for word in ("MIT License", "CC BY 4.0", "MathJax"))
