import csv
import io
import json
import zipfile

from service.http.result_formats import audacity_labels, audacity_zip, csv_lines, json_lines


def row(file="a.wav", *labels, **values):
    labels = labels or ("rain",)
    spans = [(5.0 * number, 5.0 * number + 10) for number in range(len(labels))]
    windows = [
        {"start_s": start_s, "end_s": end_s, "label": label or "rain", "unknown": label is None}
        for label, (start_s, end_s) in zip(labels, spans, strict=True)
    ]
    answer = {"label": labels[0], "score": 0.5, "unknown": False, "known_score": None, "duration_s": 1.0}
    return {"file": file, **answer, "silent": False, "truncated": False, "damaged": False, "windows": windows} | values


FAILED = {"file": "b.wav", "error": {"code": "audio_undecodable", "detail": "damaged"}}


def test_json_lines_and_csv_hold_a_line_for_each_file():
    rows = [row('a, "b"\n.wav'), FAILED, row("ä.wav", score=0.1)]
    assert [json.loads(line) for line in json_lines(rows)] == rows
    text = b"".join(csv_lines(rows)).decode()
    assert text.count("\r\n") == 4
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [line["file"] for line in read] == ['a, "b"\n.wav', "b.wav", "ä.wav"]
    assert [line["error"] for line in read] == ["", "audio_undecodable", ""]
    assert (read[2]["label"], read[2]["score"], read[2]["unknown"]) == ("rain", "0.1", "False")


def test_runs_of_windows_with_one_answer_are_one_label_and_unknown_ones_none():
    track = audacity_labels(row("a", "rain", "rain", None, "dog", "rain"))
    # Windows of 10 s begin every 5 s; a border lies in the middle of what two share.
    assert track == "0.000000\t12.500000\train\n17.500000\t22.500000\tdog\n22.500000\t30.000000\train\n"
    assert audacity_labels(row("a", "dog")) == "0.000000\t10.000000\tdog\n"
    assert audacity_labels(row("a", None)) == audacity_labels(FAILED) == ""


def test_the_zip_has_a_track_for_each_file_that_leads_nowhere_else():
    file = io.BytesIO()
    audacity_zip([row("x/a.wav"), FAILED, row("../a.wav"), row("/a.wav"), row("..\\a.wav"), row("n" * 300)], file)
    names = zipfile.ZipFile(file).namelist()
    assert names == ["x/a.wav.txt", "a.wav.txt", "a.wav-1.txt", "a.wav-2.txt", "n" * 100 + ".txt"]
    assert zipfile.ZipFile(file).read("x/a.wav.txt") == b"0.000000\t10.000000\train\n"
