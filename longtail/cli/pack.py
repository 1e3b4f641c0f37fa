"""``longtail pack``: writes the images of a set into a few large files that are read from anywhere."""

import sys
from pathlib import Path

from longtail.cli.data import build_data, check_table, data_options, data_settings
from longtail.cli.options import short_options, take
from longtail.errors import InputError
from longtail.files.stores import is_address
from longtail.messages import command, escape, plural

PACK_HELP = """\
usage: longtail pack SRC DEST [--shard-size MB] [options]

Writes the images of a set into shards, tar files as WebDataset has them, with an index. --data DEST then reads what
--data SRC does: the same classes, splits and images, to the bit, in a few large files in the place of many small ones.

  SRC                what longtail fit takes as --data: a folder, a table, hf:OWNER/NAME
  DEST               a new folder
  --shard-size MB    size of a shard (by default 512)

The options of the data are those of fit: --data.val test.csv, --data.label_column species, --data.group patient (groups
are packed too), --skip-bad-images. Validation and test images that SRC does not have are held out by fit, as ever.
A whole set can be copied to a store: --data s3://bucket/DEST reads it there.
"""


def pack(args: list[str]) -> int:
    """Pack a set into shards."""
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(PACK_HELP)
        return 0
    most = _size(take(args, "--shard-size"))
    places = [args.pop(0) for _ in range(2) if args and not args[0].startswith("--")]
    if len(places) < 2:
        raise InputError("give what to pack and where to: longtail pack SRC DEST (longtail pack --help tells more)")
    source, dest = places[0], Path(places[1])
    options = short_options(args)
    if is_address(places[1]):
        raise InputError(f"{escape(places[1])}: pack into a folder here, and copy it to the store")
    from longtail.data.images.files import FileData
    from longtail.files.formats.webdataset import has_index
    from longtail.files.shards.index import Index
    from longtail.files.shards.packing import check_destination, pack

    check_destination(dest, source)
    settings = data_settings(options)
    check_table(source, None, settings)
    data = build_data(data_options(source, None), None, options)
    if not (data.packs and isinstance(data, FileData)):
        raise InputError(f"{escape(source)} holds no image files with one class each, which are all that can be packed")
    listings = data.list_images()
    if data.check_images:
        listings = {split: data.without_bad(listing) for split, listing in listings.items()}
    names = {split: data.file_names(split, listing) for split, listing in listings.items()}
    group = settings.get("group") or (Index.read(data.source).group if has_index(data.source) else "")
    index = pack(dest, listings, names, most, group)
    images, shards = plural(len(index.names), "image"), plural(len(index.shards), "shard")
    sys.stdout.write(f"{escape(dest)}: {images} in {shards}\nnext: {command('longtail', 'fit', '--data', dest)}\n")
    return 0


def _size(text: str | None) -> int:
    """Bytes after which a shard is closed."""
    if text is None:
        return 512 * 10**6
    if not (text.isascii() and text.isdigit() and int(text)):
        raise InputError(f"--shard-size takes a number of megabytes, at least 1, got {escape(text)}")
    return int(text) * 10**6
