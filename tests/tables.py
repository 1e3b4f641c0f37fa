"""Tables of images in Parquet for the tests, as Hugging Face's ``datasets`` writes them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def encoded(values: Any, kind: str = "PNG") -> bytes:
    """The bytes of an image with these pixels."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).save(file, kind)
    return file.getvalue()


def with_features(content: Any, features: dict[str, Any]) -> Any:
    """A table with what the schema says of its columns."""
    return content.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def parquet(file: Path, content: Any) -> Path:
    """Write a table, with the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, file)
    return file
