import json
import subprocess
import sys

PROBE = (
    "import json, sys, adapters_store; json.dump(sorted({name.partition('.')[0] for name in sys.modules}), sys.stdout)"
)


def test_the_store_imports_neither_torch_nor_anything_of_ours_nor_an_object_store_client():
    loaded = json.loads(subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True).stdout)
    assert "adapters_store" in loaded
    assert not {"torch", "numpy", "aspl", "worker", "service", "fsspec", "s3fs"} & set(loaded)
