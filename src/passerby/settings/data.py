"""Sections about where pictures come from: city, videos, detections, crops, benchmarks."""

from pathlib import PurePath
from typing import Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from passerby.settings import addresses
from passerby.settings.section import Count, Fraction, Natural, Positive, Section, fault

DATA_ONLY = (".onnx", "_openvino_model")
"""Ends of the names of detectors that hold numbers and no code."""


class World(Section):
    """Section `world`: the synthetic city."""

    seed: int = 7
    streets: Count = 12
    cameras_per_street: Count = 3
    """Each is a video; the people of a street pass all of its cameras."""
    people_per_street: Count = 80
    fps: Count = 5
    width_px: int = Field(default=480, ge=64, multiple_of=2)
    height_px: int = Field(default=270, ge=64, multiple_of=2)
    train_people: Count = 60
    """Of the Market-1501 layout, as the next five."""
    test_people: Count = 100
    images_per_camera: int = Field(default=3, ge=2)
    """Of a person; a test person's first one is a query."""
    distractors: Natural = 60
    junk: Natural = 60
    cuhk03_train_people: Count = 60
    cuhk03_test_people: Count = 100
    cuhk01_people: int = Field(default=120, ge=2)


class Videos(Section):
    """Section `videos`: the list, and how it is downloaded.

    `root` is a folder that holds `list.txt`, where there are any `detections/*.pkl`, and with
    `serve` the videos themselves in `videos/`: then the stage serves them on loopback while it
    runs and `{port}` in `url_template` is the server's port.
    """

    # An address may hold a password: what is wrong is told without the value.
    model_config = ConfigDict(hide_input_in_errors=True)

    root: str
    serve: bool = False
    url_template: str = "https://www.youtube.com/watch?v={id}"
    """Address of a video; knows `{id}`, `{name}`, `{country}`, `{city}`, `{port}`. `{env[NAME]}` is
    the environment variable NAME: for passwords and tokens, which never stand in the settings."""
    format: str = (
        "bv*[vcodec^=avc1][ext=mp4][height<=?{max_height_px}][fps<=?{max_fps}]"
        "/b[ext=mp4][height<=?{max_height_px}]/b[height<=?{max_height_px}]"
    )
    """yt-dlp's format selector. Direct links state no height, codec or rate: `b` suits them."""
    max_height_px: Count = 720
    max_fps: Count = 30
    """Detections count frames, so a video at another rate than theirs is of no use with them."""
    max_size_mb: Positive = 500.0
    cookies_file: str = ""
    """Netscape cookies of a browser session; read once into memory, never written or printed."""
    js_runtimes: tuple[Literal["deno", "node", "quickjs", "bun"], ...] = ("deno",)
    """What yt-dlp may run YouTube's scripts with."""
    rate_limit_kb_s: Natural = 0
    """Of each worker; 0 is no limit."""
    sleep_s: float = Field(default=0.0, ge=0)
    """Pause of a worker before each video."""
    timeout_s: Positive = 30.0
    retries: Natural = 3
    """How often a network fault is tried again at once."""
    retry_wait_s: float = Field(default=2.0, ge=0)
    """Pause before the first retry; doubles with each."""
    max_limited: Count = 20
    """After so many rate limits and bot checks the stage stops asking; a later run goes on."""
    max_unfinished_share: Fraction = 0.0
    """Share of lines that may end as limited or network, and the graph goes on without them."""
    workers: Count = 2

    @field_validator("url_template")
    @classmethod
    def _known_places(cls, value: str) -> str:
        if text := addresses.fault_of(value):
            raise fault(text)
        return value

    @model_validator(mode="after")
    def _port_is_served(self) -> Self:
        if self.serve != ("{port}" in self.url_template):
            raise fault(
                "'serve: true' and a '{port}' in url_template, or neither of them; found serve: "
                f"{str(self.serve).lower()}, url_template: {addresses.masked(self.url_template)}"
            )
        return self


class Detect(Section):
    """Section `detect`: where boxes come from."""

    method: Literal["pickles", "ultralytics", "yolox"] = "pickles"
    first_frame: Literal[0, 1] = 0
    """Number of a video's first frame in the pickles: LUPerson 1, LUPerson-NL 0."""
    with_tracks: bool = True
    """Whether the pickles hold `pid`: LUPerson no, LUPerson-NL yes."""
    model: str = ""
    """An ONNX file; of `ultralytics` also an exported OpenVINO folder, a file that Ultralytics
    reads, or the name of a model that it knows (`yolo11n.pt`)."""
    model_sha256: str = ""
    """Hash of the detector's file (an exported folder: its largest file); checked if given. It has
    to be given for a file that can carry code: everything but ONNX and OpenVINO."""
    every: Count = 1
    """The detector looks at each n-th frame."""
    min_confidence: Fraction = 0.3
    """Boxes less sure than it do not come out."""
    min_bridge_confidence: Fraction = 0.1
    """Boxes down to it help the tracker over gaps, and do not come out."""
    nms_overlap: Fraction = 0.5
    """Of two boxes that overlap more (intersection over union) the less sure goes."""
    tracker: Literal["none", "bytetrack"] = "bytetrack"

    @property
    def fault_of_hash(self) -> str:
        """What is wrong when a model that can carry code has no hash here; else empty."""
        if self.method != "ultralytics" or self.model_sha256 or not self.model:
            return ""
        name = PurePath(self.model).name.lower()
        if name.endswith(DATA_ONLY) and not name.endswith("_qnn.onnx"):  # that is a chip's program
            return ""
        return (
            f"'{self.model}' is of a kind that can carry code, so its hash is wanted here: take it "
            "from where the model is published and compare it with 'sha256sum FILE', or export the "
            "model to OpenVINO or ONNX"
        )


class Crops(Section):
    """Section `crops`: which boxes become crops, and how they are stored."""

    every: Count = 5
    """Frames between two chosen boxes of a track (without tracks: between two used frames)."""
    min_height_px: Count = 48
    """Of what is visible, as of the next three."""
    min_width_px: Count = 16
    min_aspect: Positive = 1.2
    """Least height over width."""
    max_aspect: Positive = 5.0
    min_visible: Fraction = 0.6
    """Least share of a box that lies inside the picture."""
    min_sharpness: float = Field(default=0.0, ge=0)
    """Least variance of the Laplacian of the grey crop at 128 px height; 0 keeps all."""
    max_same_bits: int = Field(default=0, ge=-1, le=64)
    """A crop is a repeat when so many bits or fewer of its difference hash (64) differ from the
    last kept crop of its track; -1 keeps all."""
    store_height_px: Count = 256
    """Crops higher than this are shrunk to it before they are stored."""
    jpeg_quality: int = Field(default=95, ge=1, le=100)
    benchmarks: tuple[str, ...] = ()
    """Benchmarks whose *training* images join as unlabelled crops, tracks from file names."""


class BenchmarkSource(Section):
    """An entry of `benchmarks`: a labelled set on disk."""

    kind: Literal["market1501", "cuhk03-np", "cuhk03", "cuhk01", "msmt17", "folder", "csv"]
    """Its layout, and by whose rules it is evaluated. `cuhk03`: pictures as torchreid and
    `passerby extract` name them, in the new protocol. `msmt17`: either version, with its lists.
    `folder`: `train/PERSON/*.jpg`, `query/PERSON/*.jpg`, `gallery/PERSON/*.jpg`. `csv`: a table
    `labels.csv` or `labels.tsv` of `path`, `person`, `split` and, if known, `camera`, `sequence`,
    `frame`."""
    root: str
    counts: str = ""
    """Name of published counts, or the path of a manifest (`*.json`) that holds them; `folder` and
    `csv` may go without."""
    split_seed: int = 0
    """For sets without a fixed split (CUHK01): which split is drawn."""
    split_file: str = ""
    """Of `cuhk03`: `cuhk03_new_protocol_config_detected.mat` or `..._labeled.mat`, in `root`."""

    @model_validator(mode="after")
    def _counts_where_they_are_published(self) -> Self:
        if not self.counts and self.kind not in ("folder", "csv"):
            raise ValueError(
                f"'counts' (published ones by name, or a manifest): a set of kind '{self.kind}' "
                "has them, so that a half-unpacked one is noticed"
            )
        return self

    @model_validator(mode="after")
    def _split_file_where_it_is_read(self) -> Self:
        if self.kind == "cuhk03" and not self.split_file:
            raise fault(
                "kind 'cuhk03' needs 'split_file', the published "
                "cuhk03_new_protocol_config_detected.mat or cuhk03_new_protocol_config_labeled.mat"
            )
        if "/" in self.split_file:
            raise fault(
                f"'split_file' is '{self.split_file}': the name of a file in 'root' wanted; "
                "put it beside the pictures, where DVC sees when it changes"
            )
        if self.kind != "cuhk03" and self.split_file:
            raise fault(
                f"'split_file' is '{self.split_file}', but only kind 'cuhk03' reads one: "
                f"take it out of a set of kind '{self.kind}'"
            )
        return self
