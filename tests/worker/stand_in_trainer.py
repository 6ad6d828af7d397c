"""A trainer with the real protocol and a training that only counts, as slowly and as badly as the job asks for."""

import json
import os
import signal
import sys
import time
from types import SimpleNamespace

from jobs.errors import TrainingFailed, TrainingStopped
from worker.lesson import Trained
from worker.runner import main


class Counting:
    """Adds up its epochs; its checkpoint is what it has added so far."""

    fingerprint = "0" * 64

    def train(self, lesson, training, *, on_progress, should_cancel, checkpoint, findings):
        epochs, behaviour = training.get("epochs", 3), training.get("behaviour", "")
        if behaviour == "unfit":
            raise TrainingFailed("training_data_invalid", "two clips of each label are needed")
        if behaviour == "bug":
            raise ZeroDivisionError("a bug")
        state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"epoch": 0, "sum": 0, "starts": 0}
        state["starts"] += 1
        while state["epoch"] < epochs:
            if behaviour == "crash" and state["epoch"] == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(training.get("epoch_s", 0.01))
            if should_cancel() and behaviour != "deaf":
                raise TrainingStopped("stopped")
            state["epoch"] += 1
            state["sum"] += state["epoch"] ** 2
            partial = checkpoint.with_suffix(".partial")
            partial.write_text(json.dumps(state))
            partial.replace(checkpoint)
            values = {"epoch": state["epoch"], "epochs": epochs, "loss": float("nan"), "accuracy": 0.5, "eta_s": 1.0}
            on_progress(SimpleNamespace(phase="train_text", **values))
        data = json.dumps({"sum": state["sum"], "clips": [clip.read().decode() for clip in lesson.taught]}).encode()
        labels = sorted({clip.row.label for clip in lesson.taught})
        header = {"starts": state["starts"], "report": findings, "num_background": len(lesson.background)}
        return Trained(data, {"labels": labels, **header}, fingerprint=self.fingerprint)


def load(settings):
    """The stand-in, unless the settings name a model that is not there."""
    if settings.model == "missing":
        raise TrainingFailed("checkpoint_not_found", "there is no such model")
    return Counting()


if __name__ == "__main__":
    main(load, int(sys.argv[1]))
