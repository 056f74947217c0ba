"""What a file is, by its first bytes and its name: a picture that is read, an archive, or something to name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ganime.text import plural, printable

HEAD_BYTES = 512  # that tell what a file is; the mark of a tar lies at 257
SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".avif"),
    *(".heic", ".heif", ".hif", ".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".qoi", ".psd"),
}  # of pictures that are read
ARCHIVE_SUFFIXES = {
    ".zip",
    ".cbz",
    ".tar",
    ".tgz",
    ".gz",
    ".tbz",
    ".tbz2",
    ".bz2",
    ".txz",
    ".xz",
    ".tzst",
    ".zst",
    ".7z",
}
UNREAD_ARCHIVES = {".rar": "RAR", ".cbr": "RAR", ".lz4": "LZ4", ".lzh": "LZH", ".cab": "CAB", ".iso": "ISO"}
TABLE_SUFFIXES = {".parquet", ".arrow"}
TEXT_SUFFIXES = {
    *(".txt", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".xml", ".html", ".htm", ".md", ".yaml", ".yml", ".toml"),
    *(".ini", ".log", ".py", ".caption", ".tags", ".url", ".rst", ".sh", ".js", ".css"),
}
SYSTEM_NAMES = {"__MACOSX", "Thumbs.db", "desktop.ini"}
NAMED_BY_SUFFIX = {
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"), "camera raw picture"),
    **dict.fromkeys((".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".wmv", ".flv", ".mpg", ".mpeg"), "film"),
    **dict.fromkeys((".npy", ".npz"), "NumPy file"),
    **dict.fromkeys((".h5", ".hdf5"), "HDF5 file"),
    **dict.fromkeys((".tfrecord", ".tfrecords"), "TFRecord file"),
    **dict.fromkeys(TEXT_SUFFIXES, "text file"),
    **{suffix: f"{name} archive" for suffix, name in UNREAD_ARCHIVES.items()},
    **dict.fromkeys(ARCHIVE_SUFFIXES, "archive"),  # ARCHIVE
    **dict.fromkeys(TABLE_SUFFIXES, "Parquet or Arrow file"),  # TABLE
    ".ico": "icon",
    ".jxl": "JPEG XL picture",
    ".svg": "SVG drawing",
    ".exr": "OpenEXR picture",
    ".clip": "Clip Studio picture",
    ".kra": "Krita picture",
    ".xcf": "GIMP picture",
    ".pdf": "PDF document",
}
HIDDEN, LINK, OTHER = "hidden or system file", "link", "other file"
PICTURE, ARCHIVE, TABLE = "picture", "archive", "Parquet or Arrow file"
PACKED = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zst"}  # by first bytes
# The first bytes of what is named; a picture that is read comes before a kind that contains it.
BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", PICTURE),
    (b"\xff\xd8\xff", PICTURE),
    (b"GIF87a", PICTURE),
    (b"GIF89a", PICTURE),
    (b"\0\0\0\x0cjP  \r\n\x87\n", PICTURE),
    (b"\xff\x4f\xff\x51", PICTURE),  # a bare JPEG 2000 codestream
    (b"II*\0", PICTURE),
    (b"MM\0*", PICTURE),
    (b"II+\0", PICTURE),
    (b"MM\0+", PICTURE),
    (b"qoif", PICTURE),
    (b"8BPS", PICTURE),
    (b"PK\x03\x04", ARCHIVE),
    (b"PK\x05\x06", ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (b"Rar!\x1a\x07", "RAR archive"),
    (b"PAR1", TABLE),
    (b"ARROW1", TABLE),
    (b"\xff\x0a", "JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "JPEG XL picture"),
    (b"\x76\x2f\x31\x01", "OpenEXR picture"),
    (b"\0\0\1\0", "icon"),
    (b"gimp xcf", "GIMP picture"),
    (b"\x1aE\xdf\xa3", "film"),
    (b"%PDF", "PDF document"),
    (b"%!PS", "PostScript drawing"),
    (b"\x89HDF", "HDF5 file"),
    (b"\x93NUMPY", "NumPy file"),
    (b"version https://git-lfs", "Git LFS pointer"),
)
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
TO_MEND = {
    "Git LFS pointer": "fetch the file itself with `git lfs pull`",
    "web page": "the download went wrong; fetch the file again",
    **{f"{name} archive": "unpack it" for name in UNREAD_ARCHIVES.values()},
}  # what to do about files that stand for others
BITMAP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}  # bytes


@dataclass
class LeftOut:
    """Files that were found and are not pictures that are read. counts: by kind. examples: the first name of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def note(self, kind: str, name: str) -> None:
        """Count a file; `kind` is a noun in the singular."""
        self.counts[kind] += 1
        self.examples.setdefault(kind, name)

    def in_words(self) -> str:
        """What was found, the most frequent first, such as "40 JPEG XL pictures and 1 RAR archive (faces.rar)"."""
        parts = [
            f"{plural(count, kind)}{f' ({printable(self.examples[kind])})' if count == 1 else ''}"
            for kind, count in self.counts.most_common()
        ]
        return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def kind_by_content(head: bytes) -> str:
    """PICTURE, ARCHIVE, TABLE, or a noun such as "web page", from the first 512 bytes of a file."""
    for beginning, kind in BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if packing_of(head) or head[257:262] == b"ustar":
        return ARCHIVE
    if head[:4] == b"RIFF":
        return PICTURE if head[8:12] == b"WEBP" else "film" if head[8:12] == b"AVI " else OTHER
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BITMAP_HEADERS:
        return PICTURE
    if head[:1] == b"P" and head[1:2] in b"123456fF" and head[2:3].isspace():
        return PICTURE  # a portable pixmap
    if head[4:8] == b"ftyp":
        return kind_of_boxes(head)
    return kind_of_text(head)


def kind_of_boxes(head: bytes) -> str:
    """What a file of the ISO base media format is, by its brands."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[place : place + 4] for place in (8, *range(16, end, 4))}
    if brands & (HEIF_BRANDS | AVIF_BRANDS):
        return PICTURE
    return "camera raw picture" if b"crx " in brands else "film"


def kind_of_text(head: bytes) -> str:
    """What a file is that has no mark: a web page, a drawing or another text, else OTHER."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:256].lower()
    if not start:
        return "empty file" if not head else "text file"
    if b"<svg" in start:
        return "SVG drawing"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "web page"
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else a letter was cut off at the end
            return OTHER
        text = head[: error.start].decode("utf-8")
    return "text file" if all(letter.isprintable() or letter.isspace() for letter in text) else OTHER


def packing_of(head: bytes) -> str:
    """ "gz", "bz2", "xz" or "zst" if a file is compressed as a whole, else ""."""
    return next((name for beginning, name in PACKED.items() if head.startswith(beginning)), "")


def kind_by_name(name: str) -> str:
    """The kind of a file by its name alone."""
    return PICTURE if is_picture_name(name) else NAMED_BY_SUFFIX.get(suffix_of(name), OTHER)


def in_words(kind: str) -> str:
    """A kind with its article, and what to do about it if that is known, such as "a web page: fetch the file again"."""
    article = "an" if kind[0].lower() in "aeio" or kind.startswith("HDF5") else "a"
    return f"{article} {kind}{f': {TO_MEND[kind]}' if kind in TO_MEND else ''}"


def suffix_of(name: str) -> str:
    """The suffix of a path in lower case."""
    return PurePosixPath(name).suffix.lower()


def is_picture_name(name: str) -> bool:
    """Whether a path has the suffix of a picture that is read."""
    return suffix_of(name) in SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether any part of a path is the name of a hidden or system file."""
    return any(part.startswith(".") or part in SYSTEM_NAMES for part in PurePosixPath(name).parts)
