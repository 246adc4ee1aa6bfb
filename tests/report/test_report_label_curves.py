"""mAP against labels, of tables that were kept."""

from pathlib import Path

import pytest

from passerby.errors import BadInput
from passerby.report import label_curves

HEAD = "model\tinit\trecipe\tpercent\tseed\tset\tmAP\n"


def table(path: Path, *rows: tuple[str, str, str, int, float]) -> Path:
    """Rows of init, recipe, percent, seed and mAP, on two sets; the second has half the mAP."""
    lines = [
        f"{init}-{recipe}-{percent}-{seed}\t{init}\t{recipe}\t{percent}\t{seed}\t{name}\t{value}\n"
        for init, recipe, percent, seed, mean in rows
        for name, value in (("own", mean), ("unseen", mean / 2))
    ]
    path.write_text(HEAD + "".join(lines))
    return path


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    few = [("moco", way, "10", seed, 0.2 + seed / 10) for way in ("a", "b") for seed in (0, 1)]
    few += [("random", "a", "10", 0, 0.1), ("random", "", "0", 0, 0.01)]
    more = [("moco", "a", "100", 0, 0.5), ("random", "a", "100", 0, 0.4)]
    return [table(tmp_path / "few.tsv", *few), table(tmp_path / "more.tsv", *more)]


def test_a_line_joins_the_means_of_one_init_by_one_recipe_over_all_tables(
    tables: list[Path],
) -> None:
    figure = label_curves.draw(label_curves.read(tables))
    own, unseen = figure.axes
    assert (own.get_title(), unseen.get_title()) == ("own", "unseen")
    lines = {line.get_label(): line for line in own.get_lines()}
    assert lines["moco, a"].get_xydata().tolist() == [[10, 0.25], [100, 0.5]]
    assert lines["moco, b"].get_xydata().tolist() == [[10, 0.25]]
    assert lines["random, a"].get_xydata().tolist() == [[10, 0.1], [100, 0.4]]
    assert unseen.get_lines()[0].get_xydata().tolist() == [[10, 0.125], [100, 0.25]]


def test_every_seed_is_a_dot_where_there_are_several(tables: list[Path]) -> None:
    own = label_curves.draw(label_curves.read(tables)).axes[0]
    dots = [line.get_ydata().tolist() for line in own.get_lines() if line.get_linestyle() == "None"]
    assert dots == [pytest.approx([0.2, 0.3])] * 2


def test_an_init_has_one_colour_and_a_recipe_one_kind_of_line(tables: list[Path]) -> None:
    own = label_curves.draw(label_curves.read(tables)).axes[0]
    lines = {line.get_label(): line for line in own.get_lines()}
    first, second, other = (lines[name] for name in ("moco, a", "moco, b", "random, a"))
    assert first.get_color() == second.get_color() != other.get_color()
    assert first.get_linestyle() == other.get_linestyle() != second.get_linestyle()


def test_sets_come_in_the_order_asked_for(tables: list[Path]) -> None:
    rows = label_curves.read(tables)
    titles = [axes.get_title() for axes in label_curves.draw(rows, ["unseen", "own"]).axes]
    assert titles == ["unseen", "own"]
    with pytest.raises(BadInput, match="no row is of set other; there are own, unseen"):
        label_curves.draw(rows, ["own", "other"])


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_equal_rows_give_equal_bytes(tables: list[Path], tmp_path: Path, name: str) -> None:
    rows = label_curves.read(tables)
    label_curves.write(tmp_path / name, rows)
    label_curves.write(tmp_path / f"again-{name}", rows)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()


def test_another_kind_of_picture_is_refused(tables: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a\.jpg: a name that ends in \.png or \.svg wanted"):
        label_curves.write(tmp_path / "a.jpg", label_curves.read(tables))


def test_a_model_that_two_tables_have_is_named(tables: list[Path], tmp_path: Path) -> None:
    again = table(tmp_path / "again.tsv", ("moco", "a", "100", 0, 0.6))
    with pytest.raises(BadInput, match=r"again\.tsv: has moco-a-100-0 on own as .*more\.tsv has"):
        label_curves.read([*tables, again])


def test_what_is_no_such_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no\.tsv: no such file"):
        label_curves.read([tmp_path / "no.tsv"])
    (tmp_path / "other.tsv").write_text("model\tset\nmoco\town\n")
    with pytest.raises(BadInput, match="lacks columns init, recipe, percent, seed, mAP"):
        label_curves.read([tmp_path / "other.tsv"])
    untrained = table(tmp_path / "untrained.tsv", ("moco", "", "0", 0, 0.1))
    with pytest.raises(BadInput, match="no row of a model that was finetuned"):
        label_curves.read([untrained])
