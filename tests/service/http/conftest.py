import pytest


@pytest.fixture
def adapt(client, context):
    """Send an archive, or clips with labels; the answer, and the labels that the job will train on."""

    def send(archive=None, *, clips=(), labels=(), **data):
        files = [("clips", clip) for clip in clips]
        if archive is not None:
            files = [("archive", ("clips", archive.getvalue()))]
        answer = client.post("/adapt", files=files, data={"name": "animals", "labels": list(labels), **data})
        if answer.status_code != 202:
            return answer, []
        record = context.jobs.records.get("local", answer.json()["id"])
        return answer, list(
            dict.fromkeys(label for _, label in context.jobs.uploads.evaluation_clips(record.upload_id).clips)
        )

    return send
