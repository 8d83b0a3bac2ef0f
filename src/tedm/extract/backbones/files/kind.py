"""What a file is, told by its first bytes and its end, whatever its name says."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from tedm.errors import TedmError

Kind = Literal["safetensors", "zip", "pickle"]

HEAD = 512  # bytes that are looked at: a tar archive says what it is at byte 257
LONGEST_HEADER = 100_000_000  # of a safetensors file, as its library has it
END_OF_ZIP = 22  # bytes of the record that a zip archive without a comment ends with


def kind_of(path: Path) -> Kind:
    """Return which reader a checkpoint file needs.

    Raises
    ------
    TedmError
        If it is none that torch or safetensors writes: empty, cut off, a pointer of Git LFS, a web page, text, a TorchScript
        program, or an archive whose directory promises what the file does not hold.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(max(size - END_OF_ZIP, 0))
            end = file.read()
    except OSError as error:
        raise TedmError(f"cannot read the checkpoint {path}: {error.strerror}; check the path and its permissions") from error
    if not head:
        raise no_checkpoint(path, "it is empty", remedy="Download or copy it again.")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LONGEST_HEADER:
        if 8 + int.from_bytes(head[:8], "little") > size:
            raise no_checkpoint(
                path, "its header is longer than the file, which was cut off", remedy="Download or copy it again."
            )
        return "safetensors"
    if head.startswith(b"PK"):
        _require_whole_archive(path, size, end)
        return "zip"
    if head.startswith(b"version https://git-lfs"):
        raise no_checkpoint(
            path,
            "it is a pointer of Git LFS in place of the file",
            remedy="Run `git lfs pull` in the repository that it is from.",
        )
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise no_checkpoint(
            path, "it is a web page", remedy="Download the file itself, not the page that shows it; a login may be needed."
        )
    if head[257:262] == b"ustar":
        raise no_checkpoint(
            path,
            "it is a tar archive (torch before 0.2 wrote such files)",
            remedy="Unpack it, or load it with the torch that wrote it and save its state_dict() with torch.save.",
        )
    if not head.startswith(b"\x80"):
        text = all(byte >= 32 or byte in b"\t\r\n\f" for byte in head) and _is_utf8(head)
        raise no_checkpoint(path, "it is a text file" if text else "its bytes are none that torch or safetensors writes")
    return "pickle"


def no_checkpoint(
    path: Path, reason: str, *, remedy: str = "Use a .pt or .safetensors file as its training wrote it."
) -> TedmError:
    """Return the refusal of a file; `remedy` is a sentence."""
    return TedmError(f"{path} is no checkpoint that can be read: {reason}. {remedy}")


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character that the end of the sample cuts
    return True


def _require_whole_archive(path: Path, size: int, end: bytes) -> None:
    """Refuse a zip archive that torch.save did not write so, before a record of it is unpacked."""
    if not end.startswith(b"PK\x05\x06"):
        raise no_checkpoint(path, "its end is missing, so it was cut off", remedy="Download or copy it again.")
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise no_checkpoint(path, f"its directory is damaged ({error})", remedy="Download or copy it again.") from error
    names = [record.filename for record in records]
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise no_checkpoint(
            path,
            "it is a TorchScript program and not weights",
            remedy="Save the state_dict() of the network that it was made of with torch.save.",
        )
    packed = next((record for record in records if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 1), None)
    if packed is not None:
        raise no_checkpoint(
            path,
            f"its record {packed.filename!r} is compressed, which torch.save never does",
            remedy="If you trust it, unpack it and pack it without compression (zip -0 -r).",
        )
    held = sum(record.file_size for record in records)
    beyond = any(record.header_offset + record.file_size > size for record in records)
    if held > size or beyond or len(set(names)) < len(names):
        raise no_checkpoint(path, f"its directory promises records of {held} bytes that a file of {size} bytes does not hold")
    if sum(name.count("/") == 1 and name.endswith("/data.pkl") for name in names) != 1:
        raise no_checkpoint(path, "it is a zip archive, but not one of torch.save (it has no data.pkl)")
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums that it writes
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise no_checkpoint(path, f"its records are damaged ({error})", remedy="Download or copy it again.") from error
    if damaged is not None:
        raise no_checkpoint(
            path, f"its record {damaged!r} is damaged (its checksum is another)", remedy="Download or copy it again."
        )
