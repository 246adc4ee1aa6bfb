"""Which labels a share of them is: LUPerson's published lists, or drawn by seed.

A share is of the people, each with all images (LUPerson's `few_ids`, "small-scale"), or of the
images, a few of each person (its `few_ims`, "few-shot").
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import compress
from pathlib import Path

from passerby import seeds
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.errors import BadInput, listing
from passerby.foreign import texts

NUMBERED_HERE = ("msmt17", "folder", "csv")
"""Kinds whose people get numbers when they are read: a list of numbers is of other people."""


def labelled_part(
    benchmark: Benchmark, share_of: str, percent: int, seed: int, lists_folder: str = ""
) -> Benchmark:
    """The set with nothing but the training images whose labels are used.

    Args:
        benchmark: The set that is trained on.
        share_of: `people`, all images of a share of them, or `images`, a share of everybody's.
        percent: The share, 1 to 100.
        seed: Draws it where there are no lists.
        lists_folder: LUPerson's `few_ids` or `few_ims` folder; empty to draw.

    Raises:
        BadInput: as `labelled_people` or `labelled_images`.
    """
    if share_of == "images":
        paths = set(labelled_images(benchmark, percent, seed, lists_folder))
        kept = [row.split == "train" and row.path in paths for row in benchmark.rows]
    else:
        people = set(labelled_people(benchmark, percent, seed, lists_folder))
        kept = [row.split == "train" and row.person in people for row in benchmark.rows]
    pairs = zip(benchmark.rows, benchmark.hashes, strict=True)
    rows, hashes = zip(*compress(pairs, kept), strict=True)
    return Benchmark(benchmark.header, benchmark.root, tuple(rows), tuple(hashes))


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
        _check_numbers(benchmark, lists_folder)
        return _listed(Path(lists_folder), percent, people, count)
    drawn = seeds.stream(seed, "labelled people").permutation(people)
    return tuple(sorted(int(person) for person in drawn[:count]))


def labelled_images(
    benchmark: Benchmark, percent: int, seed: int, lists_folder: str = ""
) -> tuple[str, ...]:
    """The training images whose labels are used, as paths of the index's rows, sorted.

    The rule of the draw is that of LUPerson's published lists, by their counts (all thirty of
    Market-1501 and CUHK03-NP): so many images as the share of all of them is, rounded down, but one
    of each person at least; everybody keeps equally many, or one more, as far as they have so many;
    cameras play no part. (The code beside the lists, `cmdm.py`, would keep a rounded share of each
    person's images: the lists are not its work.) In the draw, unlike in the lists, a smaller share
    of one seed lies within every larger one.

    Args:
        benchmark: The set that is trained on.
        percent: Share of the training images, 1 to 100.
        seed: Draws the images where there are no lists.
        lists_folder: LUPerson's `few_ims` folder, whose `used_*_0.10.txt` names the images of 10
            percent, one a line as `name; person; camera`, the last two from 0; empty to draw. The
            ends of names do not matter: copies of CUHK03 hold JPEGs, the lists say `.png`.

    Raises:
        BadInput: no training images; no such list, or one that does not fit the set.
    """
    rows = [row for row in benchmark.rows if row.split == "train"]
    if not rows:
        raise BadInput(f"{benchmark.name}: no training images, so no share of them is labelled")
    people = len({row.person for row in rows})
    count = max(people, len(rows) * percent // 100)
    if lists_folder:
        return _listed_images(_list(Path(lists_folder), percent), rows, count)
    return tuple(sorted(_in_turn(rows, seed)[:count]))


def _in_turn(rows: Sequence[Row], seed: int) -> list[str]:
    """All images in the order in which they get labels: one of each person, then a second, ..."""
    stream = seeds.stream(seed, "labelled images")
    people = sorted({row.person for row in rows})
    place = dict(zip(stream.permutation(people).tolist(), range(len(people)), strict=True))
    taken: Counter[int] = Counter()
    turns = []
    for row in (rows[i] for i in stream.permutation(len(rows))):
        turns.append((taken[row.person], place[row.person], row.path))
        taken[row.person] += 1
    return [path for _, _, path in sorted(turns)]


def _listed_images(path: Path, rows: Sequence[Row], count: int) -> tuple[str, ...]:
    there = defaultdict(list)
    for row in rows:
        there[_stem(row.path)].append(row.path)
    names = _images_of(path)
    strangers = [name for name in names if len(there[_stem(name)]) != 1]
    if strangers:
        raise BadInput(
            f"{path}: {len(strangers)} names that are not of one training image: "
            f"{listing(strangers)}; is this the list of another set?"
        )
    listed = {there[_stem(name)][0] for name in names}
    left = {row.person for row in rows} - {row.person for row in rows if row.path in listed}
    if len(listed) != count or left:
        raise BadInput(
            f"{path}: {count} images wanted, of everybody; {len(listed)} found, and none of "
            f"{len(left)} people; fetch the list again"
        )
    return tuple(sorted(listed))


def _images_of(path: Path) -> list[str]:
    """The names of a list, one a line as `name; person; camera`; empty lines do not matter."""
    lines = list(enumerate(texts.lines(path), start=1))
    cells = [(n, [cell.strip() for cell in line.split(";")]) for n, line in lines if line.strip()]
    strange = [
        n
        for n, (name, *rest) in cells
        if not name or len(rest) != 2 or not all(number.isdecimal() for number in rest)
    ]
    if strange:
        first = lines[strange[0] - 1][1]
        raise BadInput(
            f"{path}: lines {listing(strange)} are not 'name; person; camera' (the first is "
            f"'{first[:60]}'); a list of people (few_ids) says no images: give the folder few_ims"
        )
    return [name for _, (name, *_) in cells]


def _stem(path: str) -> str:
    """A file's name without its ends.

    Example:
        >>> _stem("bounding_box_train/0003_c2s2_012345_00.jpg.jpg")
        '0003_c2s2_012345_00'
    """
    return path.rpartition("/")[2].partition(".")[0]


def _check_numbers(benchmark: Benchmark, lists_folder: str) -> None:
    if benchmark.kind in NUMBERED_HERE:
        raise BadInput(
            f"{lists_folder}: lists of people's numbers, but those of {benchmark.name} (kind "
            f"'{benchmark.kind}') were given when it was read; leave 'label_lists' empty"
        )


def _list(folder: Path, percent: int) -> Path:
    pattern = f"used_*_{percent / 100:.2f}.txt"
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise BadInput(
            f"{folder}: one file {pattern} wanted, {len(found)} found; "
            "give the folder of LUPerson's lists, or none to draw by seed"
        )
    return found[0]


def _listed(folder: Path, percent: int, people: tuple[int, ...], count: int) -> tuple[int, ...]:
    path = _list(folder, percent)
    listed = _people_of(path)
    strangers = sorted(set(listed) - set(people))
    if strangers:
        raise BadInput(
            f"{path}: people who are not in the training set: {listing(strangers)}; "
            "is this the list of another set?"
        )
    if len(set(listed)) != count:
        raise BadInput(
            f"{path}: {count} people wanted ({percent} percent of {len(people)}), "
            f"{len(set(listed))} found; fetch the list again"
        )
    return tuple(sorted(set(listed)))


def _people_of(path: Path) -> list[int]:
    """The numbers of a list, one a line; blank ends and empty lines do not matter."""
    people = []
    for number, line in enumerate(texts.lines(path), start=1):
        if not line.strip():
            continue
        person = texts.whole_number(line.strip())
        if person is None:
            raise BadInput(
                f"{path}, line {number}: a person's number wanted, '{line[:60]}' found; "
                "a list of images (few_ims) says no people: give the folder few_ids"
            )
        people.append(person)
    return people
