import json
import subprocess
import sys

PROBE = "import json, sys, adapters_store; print(json.dumps(list(sys.modules)))"


def test_the_store_imports_neither_torch_nor_anything_of_ours_nor_an_object_store_client():
    modules = json.loads(subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True).stdout)
    packages = {module.partition(".")[0] for module in modules}
    assert "adapters_store" in packages
    assert not {"torch", "numpy", "aspl", "worker", "service", "fsspec", "s3fs"} & packages
