import sys
from pathlib import Path

import numpy as np
import pytest

from longtail.errors import InputError
from longtail.files.tables import columns, table
from longtail.files.tables.table import read_table


@pytest.fixture
def root(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg", "sub/d.jpg", "sub/with space.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def write(root: Path, text: str | bytes, name: str = "t.csv") -> Path:
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root / name


def refusal(file: Path, **options: object) -> str:
    with pytest.raises(InputError) as error:
        read_table(file, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def names(listing, root):
    return [str(Path(path).relative_to(root)) for path in listing.paths]


def test_csv(root):
    listing = read_table(write(root, "id,path,label\n1,b.jpg,dog\n2,sub/d.jpg,cat\n\n3,./a.jpg, dog\n"))
    assert names(listing, root) == ["b.jpg", "sub/d.jpg", "a.jpg"]
    assert listing.classes == ["cat", "dog"]
    assert listing.targets.tolist() == [1, 0, 1]
    assert listing.targets.dtype == np.int64


def test_tsv_with_other_columns_quotes_bom_and_crlf(root):
    text = '\ufefffile\t"class"\r\n"sub/with space.jpg"\t"a ""b"""\r\na.jpg\tc,d\r\n'
    listing = read_table(write(root, text, "t.TSV"), path_column="file", label_column="class")
    assert names(listing, root) == ["sub/with space.jpg", "a.jpg"]
    assert listing.classes == ['a "b"', "c,d"]


@pytest.mark.parametrize("name", ["t.txt", "t.lst"])
def test_list_file(root, name):
    listing = read_table(write(root, "a.jpg 0\r\nsub/with space.jpg\t12 \n\n  c.jpg   3\n", name))
    assert names(listing, root) == ["a.jpg", "sub/with space.jpg", "c.jpg"]
    assert listing.targets.tolist() == [0, 2, 1]
    assert listing.classes == ["0", "3", "12"]


def write_parquet(file, **columns):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), file)
    return file


def test_parquet(root):
    pa = pytest.importorskip("pyarrow")
    paths = ["a.jpg", "b.jpg", "c.jpg"]
    listing = read_table(write_parquet(root / "t.parquet", path=paths, label=[1, 0, 1], other=[1.5, 2.5, 3.5]))
    assert names(listing, root) == paths
    assert (listing.targets.tolist(), listing.classes) == ([1, 0, 1], ["0", "1"])
    labels = pa.array(["x", "y", "x"]).dictionary_encode()
    listing = read_table(write_parquet(root / "t.parquet", path=paths, label=labels))
    assert (listing.targets.tolist(), listing.classes) == ([0, 1, 0], ["x", "y"])


def test_parquet_without_pyarrow(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    file = write(root, b"", "t.parquet")
    assert refusal(file) == f'{file}: Parquet needs pyarrow; pip install "longtail[parquet]"'


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"path": ["a.jpg", None], "label": [0, 1]}, ", row 2: the path is empty"),
        ({"path": ["a.jpg", "b.jpg"], "label": [0, None]}, ", row 2: the label is empty"),
        ({"path": [[1], [2]], "label": [0, 1]}, ", row 1: path is of type list; store it as text"),
        (
            {"path": ["a.jpg", "b.jpg"], "label": [[0], [1]]},
            ", row 1: label is of type list; store it as text or whole numbers",
        ),
        (
            {"path": ["a.jpg"], "klass": [0], "age": [2]},
            ": which column has the classes? There are path, klass, age: give --data.label_column NAME",
        ),
    ],
)
def test_parquet_refusals(root, columns, expected):
    file = write_parquet(root / "t.parquet", **columns)
    assert refusal(file).startswith(f"{file}{expected}")


def test_damaged_parquet(root):
    pytest.importorskip("pyarrow")
    assert "t.parquet: not a readable Parquet file (" in refusal(write(root, b"PAR1 no", "t.parquet"))


def test_labels_with_given_classes(root):
    classes = ["dog", "cat", "owl"]
    by_name = read_table(write(root, "path,label\na.jpg,cat\nb.jpg,cat\n"), classes=classes)
    assert (by_name.targets.tolist(), by_name.classes) == ([1, 1], classes)
    by_index = read_table(write(root, "path,label\na.jpg,2\nb.jpg,0\n"), classes=classes)
    assert (by_index.targets.tolist(), by_index.classes) == ([2, 0], classes)
    message = refusal(write(root, "path,label\na.jpg,1\nb.jpg,3\nc.jpg,2\n"), classes=classes)
    assert message.endswith("line 3: labels run from 1 to 3; subtract 1, as class indices begin with 0, or write names")
    assert read_table(write(root, "path,label\na.jpg,1\nb.jpg,2\n"), classes=classes).targets.tolist() == [1, 2]
    numeric = read_table(write(root, "path,label\na.jpg,747\n"), classes=["A320", "747"])
    assert numeric.targets.tolist() == [1]


def test_padded_indices(root):
    listing = read_table(write(root, "path,label\na.jpg,007\nb.jpg,0\nc.jpg,7\n"))
    assert listing.targets.tolist() == [1, 0, 1]
    assert listing.classes == ["0", "7"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ": the table is empty"),
        ("\n\n", ": the table is empty"),
        ("path,label\n", ": the table is empty; add a row for every image"),
        (
            "who,klass,age\nx,0,2\n",
            ", line 1: which column has the paths? There are who, klass, age: give --data.path_column NAME",
        ),
        (
            "\nfile,klass,age\na.jpg,0,3\n",
            ", line 2: which column has the classes? There are file, klass, age: give --data.label_column NAME",
        ),
        ("a.jpg,0,1\n", ", line 1: no header; write one, such as path,label"),
        ("path,label,path\na.jpg,0,b.jpg\n", ", line 1: two columns are called path; rename one"),
        ("path,label\na.jpg,0\nb.jpg\n", ", line 3: 1 field where the header has 2; correct the row"),
        ("path,label\n\na.jpg,0,1\n", ", line 3: 3 fields where the header has 2; correct the row"),
        ('path,label\na.jpg,0\n"b.jpg,1\nc.jpg,2\n', ", line 4: unexpected end of data; correct the quotes"),
        ("path,label\na.jpg,\nb.jpg,1\n", ", line 2: the label is empty"),
        ("path,label\na.jpg,  \nb.jpg,1\n", ", line 2: the label is empty"),
        ("path,label\n,0\nb.jpg,1\n", ", line 2: the path is empty"),
        ("path,label\na.jpg,0\nb.jpg,1\n./sub/../a.jpg,1\n", ", line 4: path ./sub/../a.jpg is also in line 2; remove"),
        ("path,label\na.jpg,0\n../b.jpg,1\n", ", line 3: path ../b.jpg is not inside "),
        ("path,label\na.jpg,0\nsub/../../b.jpg,1\n", ", line 3: path sub/../../b.jpg is not inside "),
        ("path,label\na.jpg,0\n.,1\n", ", line 3: path . is not inside "),
        ("path,label\na.jpg,0\n/etc/passwd,1\n", ", line 3: path /etc/passwd is not inside "),
        ("path,label\na.jpg,5\nb.jpg,5\n", ": all rows have the label 5; at least two classes are needed"),
        ("path,label\na.jpg,x\nb.jpg,x\n", ": all rows have the label x; at least two classes are needed"),
        ("path,label\na.jpg,0\ne.jpg,1\n", ", line 3: no such file: "),
        ("path,label\na.jpg,0\nno/e.jpg,1\n", ", line 3: no such file: "),
        ("path,label\na.jpg,0\nsub,1\n", ", line 3: no such file: "),
        ("path,label\na.jpg,0\nb\0.jpg,1\n", ", line 3: "),
        (b"path,label\na.jpg,0\nb\xe9.jpg,1\n", ", line 3: not UTF-8 text; save the table as UTF-8"),
        ("path,label\na.jpg,0\n".encode("utf-16"), ", line 1: not UTF-8 text"),
    ],
)
def test_refusals(root, text, expected):
    file = write(root, text)
    assert refusal(file).startswith(f"{file}{expected}")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["1,0"] * 9 + ["1"], "line 11: 2 fields where the header has 3"),
        (["1,0"] * 8 + ["1", "2,0"], "line 10: 2 fields"),
        (["1,0"] * 8 + ["2,0", "1"], "line 10: 2 in a column of 0 and 1"),
        (["1,0"] * 8 + ["2,0", '1,"'], "line 10: 2 in a column of 0 and 1"),
        (["1,0"] * 8 + ['1,"', "2,0"], "line 11: unexpected end of data"),
        (["0,1", '1,"0\n"', "", "1,0", "1,0", "1"], "line 8: 2 fields"),
    ],
)
def test_faults_behind_the_first_rows(root, monkeypatch, rows, expected):
    """What is wrong first is told, with its line, though rows are taken many at a time."""
    monkeypatch.setattr(table, "SAMPLE", 2)
    monkeypatch.setattr(columns, "SAMPLE", 2)
    monkeypatch.setattr(table, "_ROWS", 4)
    lines = [f"{i}.jpg,{row}" if row else "" for i, row in enumerate(rows)]
    file = write(root, "\n".join(["path,cat,dog", *lines]) + "\n")
    assert refusal(file).startswith(f"{file}, {expected}")


def test_lines_of_rows_with_breaks_in_them(root, monkeypatch):
    monkeypatch.setattr(table, "SAMPLE", 1)
    monkeypatch.setattr(table, "_ROWS", 2)
    text = 'path,label,note\na.jpg,0,"x\ny"\n\nb.jpg,1,\nc.jpg,1,"\r\n"\nsub/d.jpg,0,\nb.jpg,1,\n'
    assert refusal(write(root, text)).endswith("t.csv, line 9: path b.jpg is also in line 5; remove one of the two")


def test_list_file_refusals(root):
    file = write(root, "a.jpg 0\n\nb.jpg\n", "t.txt")
    assert refusal(file) == f"{file}, line 3: only one field, b.jpg; write a path, a space and a label"
    assert "the table is empty" in refusal(write(root, "\n", "t.txt"))


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("bird", ", line 3: label bird is not one of the 4 known classes (dog, cat, owl and 1 more); correct it"),
        ("1.5", ", line 3: label 1.5 is not one of the 4 known classes"),
        ("4", ", line 3: label 4 is not "),
    ],
)
@pytest.mark.parametrize("first", ["0", "dog"])
def test_unknown_labels(root, label, expected, first):
    file = write(root, f"path,label\na.jpg,{first}\nb.jpg,{label}\n")
    message = refusal(file, classes=["dog", "cat", "owl", "ant"])
    if first == "0" and label != "4":
        expected = ", line 2: label 0 is not one of the 4 known classes"
    assert message.startswith(f"{file}{expected}")


def test_labels_from_1_are_told_as_such(root):
    table = write(root, "path,label\n" + "".join(f"{c}.jpg,{c}\n" for c in range(1, 8)))
    for c in range(1, 8):
        (root / f"{c}.jpg").touch()
    assert "labels run from 1 to 7; subtract 1" in refusal(table, classes=list("abcdefg"))
    assert read_table(table).classes == list("1234567")
    names = [str(c) for c in range(1, 8)]
    assert read_table(table, classes=names).targets.tolist() == list(range(7)), "names that are numbers"


def test_negative_index_into_classes(root):
    assert "line 2: label -1 is negative" in refusal(write(root, "path,label\na.jpg,-1\n"), classes=["x", "y"])


def test_a_class_given_twice(root):
    with pytest.raises(ValueError, match="twice in classes"):
        read_table(write(root, "path,label\na.jpg,x\n"), classes=["x", "x"])


def test_missing_files_are_counted(root):
    text = "path,label\na.jpg,0\n" + "".join(f"{i}.jpg,1\n" for i in range(5))
    file = write(root, text)
    assert refusal(file) == (
        f"{file}, line 3: no such file: {root}/0.jpg, {root}/1.jpg, {root}/2.jpg and 2 more; "
        f"correct the paths, which start from {root}, or give another root"
    )


def test_other_root(root, tmp_path_factory):
    file = write(tmp_path_factory.mktemp("tables"), "path,label\nd.jpg,0\nwith space.jpg,1\n")
    assert names(read_table(file, root / "sub"), root) == ["sub/d.jpg", "sub/with space.jpg"]
    assert refusal(file, root=root / "no") == (
        f"{root}/no: no such folder; give the one that the paths of {file} start from"
    )


def test_absolute_paths_inside_root(root, tmp_path_factory):
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(root)
    file = write(root, f"path,label\n{root}/a.jpg,0\n{link}/sub/../b.jpg,1\n")
    assert names(read_table(file, link), link) == ["a.jpg", "b.jpg"]
    file = write(root, f"path,label\n{root}/a.jpg,0\na.jpg,1\n")
    assert "line 3: path a.jpg is also in line 2" in refusal(file)
    sibling = f"{root}-other/a.jpg"
    Path(sibling).parent.mkdir()
    Path(sibling).touch()
    assert "is not inside" in refusal(write(root, f"path,label\nb.jpg,0\n{sibling},1\n"))
    Path(sibling).unlink()
    listing = read_table(write(root, f"path,label\nb.jpg,0\n{sibling},1\n"))
    assert names(listing, root) == ["b.jpg", "a.jpg"], "a folder of another machine"


def test_relative_root(root, monkeypatch):
    monkeypatch.chdir(root)
    write(root, f"path,label\na.jpg,0\n{root}/sub/d.jpg,1\n")
    assert names(read_table(Path("t.csv")), Path()) == ["a.jpg", "sub/d.jpg"]


def test_links_count_as_files_unless_broken(root):
    (root / "l.jpg").symlink_to("a.jpg")
    (root / "broken.jpg").symlink_to("gone.jpg")
    (root / "loop.jpg").symlink_to("loop.jpg")
    assert len(read_table(write(root, "path,label\na.jpg,0\nl.jpg,1\n"))) == 2
    file = write(root, "path,label\na.jpg,0\nbroken.jpg,1\nloop.jpg,1\n")
    assert f"line 3: no such file: {root}/broken.jpg, {root}/loop.jpg; correct" in refusal(file)


def test_not_a_table(root):
    assert refusal(root / "no.csv") == f"{root}/no.csv: no such file; give the path of a table"
    assert refusal(root / "sub") == f"{root}/sub: is a folder; give the path of a table"
    file = write(root, "", "t.xlsx")
    assert refusal(file).startswith(f"{file}: unknown kind of table; rename it to end in .csv, .tsv, .jsonl, .parquet")


def test_unreadable_table(root, monkeypatch):
    file = write(root, "path,label\na.jpg,0\n")

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert refusal(file) == f"{file}: cannot read it (Permission denied); check its permissions"
