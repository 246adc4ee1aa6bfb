"""A settings file is checked as a whole: every fault at once, with key, line and nearest name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from passerby import settings
from passerby.errors import BadInput, SettingsError
from passerby.settings import profile

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
CITY = (PROFILES / "city.yaml").read_text()


def changed(**sections: Any) -> str:
    """The city's settings with keys of sections replaced."""
    values = yaml.safe_load(CITY)
    for section, keys in sections.items():
        values[section] |= keys
    return yaml.safe_dump(values)


def message(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.validate(text, "params.yaml")
    return str(caught.value)


def test_all_faults_come_at_once_with_key_line_and_nearest_name() -> None:
    text = CITY.replace("  temperature: 0.1", "  temprature: 0.1").replace(
        "  every: 5 ", "  every: often "
    )
    said = message(text)
    line = text[: text.index("temprature")].count("\n") + 1
    assert said.startswith("params.yaml: 2 faults\n")
    assert (
        f"pretrain.temprature (line {line}): unknown (did you mean 'temperature'?); known:" in said
    )
    assert "found 'often', wanted a valid integer" in said


def test_names_that_point_to_nothing_are_named() -> None:
    said = message(changed(branches={"inits": ["random", "mocco"], "sets": ["city-cuhk"]}))
    assert "branches.inits" in said
    assert "no such entry 'mocco' (did you mean 'moco'?); known: random, moco" in said
    assert "no such entry 'city-cuhk' (did you mean 'city-cuhk0" in said


def test_a_circle_of_starts_is_refused() -> None:
    said = message(changed(arms={"moco": {"start": "other"}, "other": {"start": "moco"}}))
    assert "arms.moco.start" in said
    assert "starts, by way of others, from itself" in said


def test_an_arm_is_checked_with_what_it_replaces() -> None:
    assert "arms.moco.views" in message(changed(arms={"moco": {"start": "random", "views": "or"}}))
    params = settings.validate(
        changed(arms={"moco": {"start": "random", "temperature": 0.2}}), "params.yaml"
    )
    assert params.arm("moco").temperature == 0.2
    assert params.arm("moco").queue == params.pretrain.queue


def test_groups_must_divide_the_batch() -> None:
    said = message(changed(pretrain={"batch": 10, "bn_groups": 4}))
    assert "pretrain.bn_groups" in said
    assert "4 groups do not divide a batch of 10" in said
    monitor = settings.Monitor(benchmark="b")
    with pytest.raises(ValueError, match="4 groups do not divide a batch of 30"):
        settings.Pretrain(batch=30, monitor=monitor)  # the default of bn_groups counts, too


def test_only_a_set_of_ones_own_goes_without_counts() -> None:
    sets = {"mine": {"kind": "folder", "root": "data/mine"}, "big": {"kind": "csv", "root": "x"}}
    assert settings.validate(changed(benchmarks=sets), "params.yaml").benchmark("mine").counts == ""
    said = message(changed(benchmarks={"msmt17": {"kind": "msmt17", "root": "data/raw/MSMT17_V1"}}))
    assert "benchmarks.msmt17" in said
    assert "'counts' (published ones by name, or a manifest): a set of kind 'msmt17' has" in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "cuhk03"}, "kind 'cuhk03' needs 'split_file', the published cuhk03_new_protocol"),
        (
            {"kind": "cuhk03-np", "split_file": "new.mat"},
            "'split_file' is 'new.mat', but only kind 'cuhk03' reads one: take it out of a set of "
            "kind 'cuhk03-np'",
        ),
        (
            {"kind": "cuhk03", "split_file": "data/new.mat"},
            "'split_file' is 'data/new.mat': the name of a file in 'root' wanted",
        ),
    ],
)
def test_a_split_file_is_given_where_it_is_read_and_nowhere_else(
    given: dict[str, Any], words: str
) -> None:
    entry = {"root": "data/raw/cuhk03/detected", "counts": "cuhk03-np-detected"}
    said = message(changed(benchmarks={"mine": entry | given}))
    assert "benchmarks.mine (line" in said
    assert words in said
    whole = {"mine": {**entry, "kind": "cuhk03", "split_file": "new.mat"}}
    params = settings.validate(changed(benchmarks=whole), "params.yaml")
    assert params.benchmark("mine").split_file == "new.mat"


def test_a_file_start_needs_its_hash() -> None:
    said = message(changed(starts={"imagenet": {"kind": "file", "file": "x.safetensors"}}))
    assert "starts.imagenet" in said
    assert "kind 'file' needs 'file' and its 'sha256'" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "params.yaml, line 1: not YAML"),
        ("- 1", "sections were wanted, found list"),
        ("", "sections were wanted, found NoneType"),
    ],
)
def test_what_is_not_a_settings_file_is_refused(text: str, said: str) -> None:
    assert said in message(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file; 'passerby profile NAME' writes it"):
        settings.read(tmp_path / "params.yaml")


def test_scientific_notation_without_a_dot_is_a_number() -> None:
    text = CITY.replace("  temperature: 0.1", "  temperature: 1e-1")
    assert settings.validate(text, "params.yaml").pretrain.temperature == 0.1


def test_the_committed_settings_are_the_city() -> None:
    assert (PROFILES.parent / "params.yaml").read_text() == CITY


def test_the_base_names_every_setting_so_that_experiments_can_set_it() -> None:
    values = yaml.safe_load(CITY)
    for name, field in settings.Params.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, settings.Section):
            assert set(values[name]) == set(section.model_fields), name


@pytest.mark.parametrize("name", profile.names(PROFILES))
def test_every_profile_is_valid(name: str) -> None:
    settings.validate(profile.compose(name, PROFILES), name)


@pytest.mark.parametrize("name", profile.names(PROFILES))
def test_no_profile_keeps_pictures_in_memory_that_are_larger_than_the_stored_crops(
    name: str,
) -> None:
    params = settings.validate(profile.compose(name, PROFILES), name)
    for arm in map(params.arm, params.arms):
        assert arm.height_px * arm.resident_scale <= params.crops.store_height_px


def test_a_profile_replaces_branches_and_merges_the_rest(tmp_path: Path) -> None:
    (tmp_path / "city.yaml").write_text(CITY)
    (tmp_path / "mine.yaml").write_text(
        "branches: {inits: [other], unlabelled: []}\n"
        "arms: {other: {start: random}}\npretrain: {epochs: 3}\n"
    )
    params = settings.validate(profile.compose("mine", tmp_path), "mine")
    assert list(params.arms) == ["other"]
    assert params.pretrain.epochs == 3
    assert params.branches.sets == settings.validate(CITY, "city").branches.sets


def test_a_profile_lies_over_the_one_it_names(tmp_path: Path) -> None:
    (tmp_path / "city.yaml").write_text(CITY)
    (tmp_path / "mine.yaml").write_text("pretrain: {epochs: 3, batch: 16}\n")
    (tmp_path / "more.yaml").write_text("over: mine\npretrain: {epochs: 5}\n")
    text = profile.compose("more", tmp_path)
    assert "profiles/more.yaml over profiles/mine.yaml over profiles/city.yaml" in text
    params = settings.validate(text, "more")
    assert (params.pretrain.epochs, params.pretrain.batch) == (5, 16)


def test_profiles_that_lie_over_each_other_or_over_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "city.yaml").write_text(CITY)
    (tmp_path / "mine.yaml").write_text("over: more\n")
    (tmp_path / "more.yaml").write_text("over: mine\n")
    with pytest.raises(BadInput, match=r"over each other in a circle: \['mine', 'more'\]"):
        profile.compose("mine", tmp_path)
    (tmp_path / "more.yaml").write_text("over: citty\n")
    with pytest.raises(BadInput, match=r"no profile 'citty' \(did you mean 'city'\?\)"):
        profile.compose("mine", tmp_path)


def test_an_unknown_profile_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no profile 'papper' \(did you mean 'paper'\?\); known: "):
        profile.compose("papper", PROFILES)


def test_an_arm_replaces_any_key_of_pretraining_also_inside_its_sections() -> None:
    arm = {"start": "random", "mining": {"share": 0.1}, "symmetric": True, "monitor": {"people": 5}}
    params = settings.validate(changed(arms={"moco": arm}), "params.yaml")
    found = params.arm("moco")
    assert (found.mining.share, found.symmetric, found.monitor.people) == (0.1, True, 5)
    assert found.mining.every_epochs == params.pretrain.mining.every_epochs
    assert found.monitor.benchmark == "city-market1501"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"temprature": 1}, "arms.moco.temprature (line"),
        ({"temprature": 1}, "unknown (did you mean 'temperature'?)"),
        ({"mining": {"shares": 1}}, "arms.moco.mining.shares (line"),
        ({"bn_groups": 5}, "arms.moco.bn_groups (line"),
        ({"bn_groups": 5}, "5 groups do not divide a batch of 128"),
        ({"views": "orig"}, "no list of augmentations is called 'orig'; known: mocov2, moco, reid"),
        ({"momentum": 2}, "found 2, wanted less than or equal to 1"),
        ({"monitor": {"benchmark": "city-cuhk03"}}, "all arms have one: 'city-market1501'"),
    ],
)
def test_what_is_wrong_with_an_arm_is_said_at_its_key(given: dict[str, Any], words: str) -> None:
    said = message(changed(arms={"moco": {"start": "random", **given}}))
    assert words in said


def test_the_paper_profile_pretrains_as_luperson_published() -> None:
    """`lup_moco/scripts/run_moco.sh` and `lup_moco.py`: 8 GPUs of 320 pairs each."""
    params = settings.validate(profile.compose("paper", PROFILES), "paper")
    arm = params.arm("moco")
    published = {
        "height_px": 256, "width_px": 128, "positives": "view", "negatives": "all",
        "views": "ori-cj+sre", "aspect": "source", "min_area": 0.2, "epochs": 200,
        "batch": 2560, "queue": 65536, "momentum": 0.999, "momentum_end": None,
        "temperature": 0.1, "dim": 128, "mlp": True, "symmetric": False,
        "bn_groups": 8, "optimiser": "sgd", "schedule": "cosine",
        "warmup_steps": 0, "sgd_momentum": 0.9, "weight_decay": 1e-4, "mask_positives": True,
    }  # fmt: skip
    assert {key: getattr(arm, key) for key in published} == published
    assert arm.lr * arm.batch / 256 == pytest.approx(0.3)
    assert params.encoder.architecture == "resnet50"
    assert params.encoder.mean == (0.3525, 0.3106, 0.3140)
    assert params.encoder.deviation == (0.2660, 0.2522, 0.2505)


def test_a_recipe_replaces_any_key_of_finetuning_also_fast_reids() -> None:
    given = {"lr": 1e-3, "fastreid": {"SOLVER": {"OPT": "SGD"}}, "validation": {"folds": 3}}
    text = changed(recipes={"mine": given}, finetune={"fastreid": {"SOLVER": {"GAMMA": 0.5}}})
    found = settings.validate(text, "params.yaml").recipe("mine")
    assert (found.lr, found.validation.folds, found.recipe) == (1e-3, 3, "bot")
    assert found.fastreid == {"SOLVER": {"OPT": "SGD", "GAMMA": 0.5}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"recipe": "bott"}, "recipes.mine.recipe (line"),
        ({"loaded_lr": 1}, "unknown (did you mean 'loaded_lr_factor'?)"),
        ({"validation": {"folds": 1}}, "1 fold holds out everybody; 0 holds out nobody, 5 a fifth"),
        ({"validation": {"folds": 3, "fold": 3}}, "no fold 3 of 3; they count from 0"),
        ({"validation": {"keep": "best"}}, "keep 'best' needs people to score: give 'folds'"),
        ({"epochs": 3}, "both 'iterations' and 'epochs' are given"),
        ({"iterations": 350}, "350 iterations are no whole epochs of 100"),
        ({"steps_share": [0.05]}, "steps_share 0.05 lies before the end of the warm-up, 0.1"),
        ({"height_px": 128}, "recipes.mine.height_px (line"),
        ({"benchmark": "city-cuhk03"}, "all recipes have one: 'city-market1501'"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said_at_its_key(given: dict[str, Any], words: str) -> None:
    assert words in message(changed(recipes={"mine": given}))


def test_candidates_are_compared_from_inits_that_are_finetuned() -> None:
    said = message(changed(branches={"compared": ["mocco"]}))
    assert "branches.compared" in said
    assert "no such entry 'mocco' (did you mean 'moco'?); known: random, moco" in said


@pytest.mark.parametrize("key", ["recipes", "candidates"])
def test_a_recipe_that_is_not_there_is_answered_with_those_that_are(key: str) -> None:
    said = message(changed(branches={key: ["publishd"]}))
    assert f"branches.{key}" in said
    assert "no such entry 'publishd' (did you mean 'published'?); known: published" in said


def test_a_backbone_of_fast_reids_own_is_finetuned_only() -> None:
    said = message(changed(encoder={"architecture": "resnest50"}))
    for key in ("arms", "branches.unlabelled", "branches.baselines"):
        assert f"{key} (line" in said
    assert "'resnest50' can be finetuned only: leave this empty" in said
    values = yaml.safe_load(changed(encoder={"architecture": "resnest50"}))
    values["arms"] = {}
    values["branches"] |= {"inits": ["random"], "unlabelled": [], "baselines": []}
    settings.validate(yaml.safe_dump(values), "params.yaml")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("yolo11n.pt", True),
        ("models/x.engine", True),
        ("models/x_saved_model/", True),
        ("models/x_int8_openvino_model/", False),
        ("models/x.onnx", False),
    ],
)
def test_a_detector_that_can_carry_code_needs_its_hash(model: str, said: bool) -> None:
    detect = {"method": "ultralytics", "model": model}
    settings.validate(changed(detect={**detect, "model_sha256": "ab" * 32}), "params.yaml")
    if said:
        told = message(changed(detect=detect))
        assert f"'{model}' is of a kind that can carry code, so its hash is wanted here" in told
        assert "detect.model_sha256 (line " in told
    else:
        settings.validate(changed(detect=detect), "params.yaml")


def test_a_key_given_twice_and_a_number_that_is_none_are_named_with_key_and_line() -> None:
    text = CITY.replace("  temperature: 0.1", "  temperature: .inf\n  temperature: 0.2", 1)
    line = text[: text.index("temperature: .inf")].count("\n") + 1
    assert message(text).splitlines() == [
        "params.yaml: 2 faults",
        f"  pretrain.temperature (line {line}): found .inf, wanted a finite number",
        f"  pretrain.temperature (line {line + 1}): given in line {line} already; leave one of "
        "the two",
    ]


@pytest.mark.parametrize("word", ["'inf'", "'nan'", "1e999", "'-Infinity'"])
def test_a_word_that_is_taken_for_a_number_must_be_finite_too(word: str) -> None:
    said = message(CITY.replace("  temperature: 0.1", f"  temperature: {word}", 1))
    assert "pretrain.temperature (line" in said
    assert "wanted a finite number" in said or "wanted greater than 0" in said


def test_a_number_no_machine_can_count_to_is_refused() -> None:
    said = message(CITY.replace("  epochs: ", f"  epochs: '{'9' * 400}' # ", 1))
    assert "epochs (line" in said
    assert "wanted less than or equal to 2147483647" in said


def test_a_deviation_of_nothing_is_refused() -> None:
    said = message(changed(encoder={"deviation": [0.2, 0, 0.2]}))
    assert "encoder.deviation.1 (line" in said
    assert "found 0, wanted greater than 0" in said


def test_settings_that_begin_with_a_mark_of_utf8_are_read(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"\xef\xbb\xbf" + CITY.encode())
    assert settings.read(tmp_path / "params.yaml") == settings.validate(CITY, "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1\n", "sections, and in 'over' the name of a profile, were wanted"),
        ("over: 5\n", "sections, and in 'over' the name of a profile, were wanted"),
        ("world: {seed: 1, seed: 2}\n", r"world\.seed \(line 1\): given in line 1 already"),
        ("a: &a [*a]\n", "mine.yaml, line 1: a value that holds itself"),
        ("a: [1\n", "mine.yaml, line 2: not YAML"),
    ],
)
def test_a_profile_that_is_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "city.yaml").write_text(CITY)
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(BadInput, match=said):
        profile.compose("mine", tmp_path)
