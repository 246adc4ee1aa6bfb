"""Sections about where pictures come from: city, videos, detections, crops, benchmarks."""

from typing import Literal

from pydantic import Field

from passerby.settings.section import Count, Fraction, Natural, Positive, Section


class World(Section):
    """Section `world`: the synthetic city."""

    seed: int = 7
    streets: Count = 12
    cameras_per_street: Count = 3
    people_per_street: Count = 100
    video_s: Positive = 20.0
    fps: Count = 10
    width_px: Count = 480
    height_px: Count = 270
    train_people: Count = 60
    test_people: Count = 100
    distractors: Natural = 60
    junk: Natural = 60
    images_per_camera: Count = 3


class Videos(Section):
    """Section `videos`: the list, and how it is downloaded.

    `root` is a folder that holds `list.txt`, where there are any `detections/*.pkl`, and with
    `serve` the videos themselves in `videos/`: then the stage serves them on loopback while it
    runs and `{port}` in `url_template` is the server's port.
    """

    root: str
    serve: bool = False
    url_template: str = "https://www.youtube.com/watch?v={id}"
    format: str = "bv*[vcodec^=avc1][ext=mp4][height<=?720][fps<=?30]/b[ext=mp4][height<=?720]/b[height<=?720]"
    max_size_mb: Positive = 500.0
    cookies_file: str = ""
    rate_limit_kb_s: Natural = 0
    sleep_s: float = Field(default=0.0, ge=0)
    retries: Natural = 3
    workers: Count = 2


class Detect(Section):
    """Section `detect`: where boxes come from."""

    method: Literal["pickles", "ultralytics", "yolox"] = "pickles"
    first_frame: Literal[0, 1] = 0
    """Number of a video's first frame in the pickles: LUPerson 1, LUPerson-NL 0."""
    with_tracks: bool = True
    """Whether the pickles hold `pid`: LUPerson no, LUPerson-NL yes."""
    model: str = ""
    model_sha256: str = ""
    """Hash of the detector's file (an exported folder: its largest file); checked if given."""
    every: Count = 1
    min_confidence: Fraction = 0.3
    nms_overlap: Fraction = 0.5
    tracker: Literal["none", "bytetrack"] = "bytetrack"


class Crops(Section):
    """Section `crops`: which boxes become crops, and how they are stored."""

    every: Count = 5
    """Frames between two crops of a track (boxes without a track: between two used frames)."""
    min_height_px: Count = 48
    min_width_px: Count = 16
    min_aspect: Positive = 1.2
    """Least height over width."""
    max_aspect: Positive = 5.0
    min_visible: Fraction = 0.6
    """Least share of a box that lies inside the picture."""
    min_sharpness: float = Field(default=0.0, ge=0)
    """Least variance of the Laplacian of the grey crop at 128 px height; 0 keeps all."""
    max_same_bits: Natural = 0
    """A crop whose difference hash is this near to the track's last kept one is a repeat."""
    store_height_px: Count = 256
    """Crops higher than this are shrunk to it before they are stored."""
    jpeg_quality: int = Field(default=95, ge=1, le=100)
    benchmarks: tuple[str, ...] = ()
    """Benchmarks whose *training* images join as unlabelled crops, tracks from file names."""


class BenchmarkSource(Section):
    """An entry of `benchmarks`: a labelled set on disk."""

    kind: Literal["market1501", "cuhk03-np", "cuhk01"]
    root: str
    counts: str
    """Name of published counts, or the path of a manifest (`*.json`) that holds them."""
    split_seed: int = 0
    """For sets without a fixed split (CUHK01): which split is drawn."""
