"""Which people's labels a share of them is: LUPerson's published lists, or drawn by seed."""

from pathlib import Path

from passerby import seeds
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput, listing


def labelled_people(
    benchmark: Benchmark, percent: int, seed: int, lists_folder: str = ""
) -> tuple[int, ...]:
    """The training people whose labels are used, sorted.

    Args:
        benchmark: The set that is trained on.
        percent: Share of the training people, 1 to 100; rounded down to whole people.
        seed: Draws the people where there are no lists; a smaller share of one seed lies within
            every larger one.
        lists_folder: LUPerson's `few_ids` folder, whose `used_*_0.10.txt` names the people of 10
            percent, one a line; empty to draw.

    Raises:
        BadInput: less than one person; no such list, or one that does not fit the set.
    """
    people = benchmark.people("train")
    count = len(people) * percent // 100
    if not count:
        raise BadInput(
            f"{benchmark.name}: {percent} percent of {len(people)} training people is nobody; "
            f"ask for at least {-(-100 // max(len(people), 1))} percent"
        )
    if lists_folder:
        return _listed(Path(lists_folder), percent, people, count)
    drawn = seeds.stream(seed, "labelled people").permutation(people)
    return tuple(sorted(int(person) for person in drawn[:count]))


def _listed(folder: Path, percent: int, people: tuple[int, ...], count: int) -> tuple[int, ...]:
    pattern = f"used_*_{percent / 100:.2f}.txt"
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise BadInput(
            f"{folder}: one file {pattern} wanted, {len(found)} found; "
            "give the folder of LUPerson's lists, or none to draw people by seed"
        )
    listed = _people_of(found[0])
    strangers = sorted(set(listed) - set(people))
    if strangers:
        raise BadInput(
            f"{found[0]}: people who are not in the training set: {listing(strangers)}; "
            "is this the list of another set?"
        )
    if len(set(listed)) != count:
        raise BadInput(
            f"{found[0]}: {count} people wanted ({percent} percent of {len(people)}), "
            f"{len(set(listed))} found; fetch the list again"
        )
    return tuple(sorted(set(listed)))


def _people_of(path: Path) -> list[int]:
    """The numbers of a list, one a line; blank ends and empty lines do not matter."""
    people = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            people.append(int(line))
        except ValueError:
            raise BadInput(
                f"{path}, line {number}: a person's number wanted, '{line[:60]}' found; "
                "lists of images (few_ims) are not used: give the folder few_ids"
            ) from None
    return people
