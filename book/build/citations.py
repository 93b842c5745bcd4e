"""Works are cited by authors and year, in the pages (Sphinx) and in the student notebooks alike."""

from collections.abc import Iterable, Iterator

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle


def authors(entry: Entry) -> str:
    """`Newell et al.`: the family names of one or two authors, the first of more."""
    names = [" ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


class AuthorYearLabels(BaseLabelStyle):
    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        for entry in sorted_entries:
            yield f"{authors(entry)}, {entry.fields['year']}"


class AuthorYear(Style):
    default_label_style = AuthorYearLabels
    default_sorting_style = "author_year_title"


register_plugin("pybtex.style.formatting", "author_year", AuthorYear)
