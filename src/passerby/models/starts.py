"""Where training may start: random, torchvision's weights, a file; and what pretraining made.

All end as one format (`init_file`), every tensor accounted for.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from passerby import files
from passerby.errors import BadInput
from passerby.foreign import require_file
from passerby.models import backbones, init_file, transfer
from passerby.models.backbones import Backbone
from passerby.models.init_file import InitHeader
from passerby.models.transfer import Account
from passerby.settings import Encoder, Start
from passerby.vision import torchvision

EVERYTHING = ("*",)
"""Shell pattern of the tensors that are fresh in a random start."""
_IMAGENET = "IMAGENET1K_V1"
_SERVER_TIMEOUT_S = 30.0


def initialise(name: str, start: Start, encoder: Encoder, out: str | Path) -> Account:
    """Make one entry of `starts` into a file of backbone weights.

    Args:
        name: Key of the entry, for messages.
        start: The entry.
        encoder: What the weights are for.
        out: The file to write, `data/init/NAME.safetensors`.

    Returns:
        What became of every tensor; of a random start, that all are fresh.

    Raises:
        BadInput: the weights cannot be had, have another hash than the settings name, or do not
            fit the encoder.
    """
    try:
        if backbones.is_resnet(encoder):
            state, account, header = _of_resnet(start, encoder)
        else:
            state, account, header = _of_fastreid(start, encoder)
    except BadInput as error:
        raise BadInput(f"starts.{name}: {error}") from None
    init_file.write(out, state, header.model_copy(update={"title": start.title or name}))
    return account


def _of_resnet(start: Start, encoder: Encoder) -> tuple[dict[str, Tensor], Account, InitHeader]:
    """The whole backbone, what became of its tensors, and what they are."""
    module = backbones.build(encoder, start.seed)
    account, header = _filled(module, start, encoder)
    if start.zero_fresh_norms:
        zero_fresh_norms(module, account.fresh)
        source = f"{header.source}; fresh blocks begin as their shortcut alone"
        header = header.model_copy(update={"source": source})
    return module.state_dict(), account, header


def _of_fastreid(start: Start, encoder: Encoder) -> tuple[dict[str, Tensor], Account, InitHeader]:
    """What a file holds for a backbone that is built by fast-reid alone, and checked there.

    A random start holds nothing: fast-reid's own initialisation is one.
    """
    if start.kind == "random":
        header = InitHeader.of(encoder, f"random, seed {start.seed}", fresh=EVERYTHING)
        return {}, Account(()), header
    if start.kind == "torchvision":
        raise BadInput(f"torchvision has no weights of '{encoder.architecture}'; give a file")
    raw, _ = _checked_file(start, encoder)
    state, left_out = transfer.sorted_out(raw)
    header = InitHeader.of(encoder, f"file {Path(start.file).name}", fresh=start.fresh)
    return state, Account(tuple(state), left_out=left_out), header


def _filled(module: Backbone, start: Start, encoder: Encoder) -> tuple[Account, InitHeader]:
    """Put the start's weights into `module`; what became of them, and what they are."""
    if start.kind == "random":
        account = Account((), tuple(module.state_dict()))
        header = InitHeader.of(encoder, f"random, seed {start.seed}", fresh=EVERYTHING)
        return account, header
    if start.kind == "torchvision":
        account = transfer.load_backbone(module, _from_torchvision(encoder.architecture))
        return account, InitHeader.of(encoder, f"torchvision {_IMAGENET}")
    return _from_file(module, start, encoder)


def _from_file(module: Backbone, start: Start, encoder: Encoder) -> tuple[Account, InitHeader]:
    """Load the file that the settings name, if it is the very one.

    A file of passerby's own must have been made for this encoder, and what started afresh in it
    did so in the result too. Of other files only names and shapes can be checked.
    """
    raw, own = _checked_file(start, encoder)
    path = Path(start.file)
    try:
        account = transfer.load_backbone(module, raw, start.fresh)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    fresh = (*(own.fresh if own else ()), *account.fresh)
    return account, InitHeader.of(encoder, f"file {path.name}", fresh=fresh)


def _checked_file(start: Start, encoder: Encoder) -> tuple[dict[str, Any], InitHeader | None]:
    """The content of the file that the settings name, and the header of one of passerby's own."""
    path = Path(start.file)
    require_file(path, "put it there, or change 'file'")
    found = files.sha256(path)
    if found != start.sha256:
        raise BadInput(
            f"{path}: SHA-256 {found}, the settings say {start.sha256 or 'nothing'}; "
            "give the right file, or its hash as 'sha256'"
        )
    raw, own = transfer.read_raw(path)
    if own is not None:
        init_file.require_fit(path, own, encoder)
    return raw, own


def _from_torchvision(architecture: str) -> dict[str, Tensor]:
    """Torchvision's ImageNet weights, from its cache or its server."""
    weights = torchvision.models.get_model_weights(architecture)[_IMAGENET]
    file = weights.url.rsplit("/", 1)[-1]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file
    try:
        if not cached.is_file():
            with _server_timeout(_SERVER_TIMEOUT_S):
                torch.hub.load_state_dict_from_url(weights.url, progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise BadInput(
            f"torchvision's weights cannot be had ({error}). Fetch {weights.url} on another "
            "machine and name it here: kind 'file', 'file' its path, 'sha256' its hash (which "
            "begins with the digits in the file's name)"
        ) from None
    return transfer.read_raw(cached)[0]


@contextmanager
def _server_timeout(seconds: float) -> Iterator[None]:
    """Do not wait for ever for a server that says nothing; torch.hub sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def zero_fresh_norms(module: nn.Module, fresh: tuple[str, ...]) -> tuple[str, ...]:
    """Give the last BatchNorm of a residual block the weight 0 where it starts afresh.

    The block then begins as its shortcut alone, so that the network begins as a function of the
    weights that were loaded.

    Returns:
        The tensors that are zero now.
    """
    zeroed = []
    for name, block in module.named_modules():
        norm = "bn3" if hasattr(block, "conv3") else "bn2"
        tensor = f"{name}.{norm}.weight"
        if tensor in fresh:
            nn.init.zeros_(getattr(block, norm).weight)
            zeroed.append(tensor)
    return tuple(zeroed)


def transfer_arm(encoder: Encoder, source: str | Path, out: str | Path) -> Account:
    """Make a pretrained encoder into a start, every tensor accounted for.

    Args:
        encoder: What the weights are for.
        source: What pretraining wrote, `data/pretrain/ARM/weights.safetensors`.
        out: The file to write, `data/init/ARM.safetensors`.

    Raises:
        BadInput: the file was made for another encoder, or is not the whole of it.
    """
    state, header = init_file.read(source)
    init_file.require_fit(source, header, encoder)
    module = backbones.build(encoder)
    try:
        account = transfer.load_backbone(module, state)
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from None
    init_file.write(out, module.state_dict(), header)
    return account
