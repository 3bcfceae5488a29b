"""Who takes part, how each is started, and what keeps it to one instruction set and so many threads."""
from processes import Ours, Peer, Reference
from setup import HERE, environment, onednn_program

PEERS = ("torch", "onnxruntime", "onednn-openmp", "onednn-sycl")
TITLES = {
    "ours": "swift-recurrence", "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "onednn-openmp": "oneDNN, OpenMP",
    "onednn-sycl": "oneDNN, SYCL",
}

# What each instruction set of ours is called by the peers. ONNX Runtime cannot be told.
_LIMITS = {
    "x86-64-v3": {
        "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
}


def limits(isa, best):
    """Environment that keeps the peers from using more than `isa`; nothing where it is the best there is."""
    if isa == best:
        return {}
    if isa not in _LIMITS:
        known = ", ".join(_LIMITS)
        raise ValueError(f"--isa: peers can be kept to {known} or given the processor's best, not to {isa}")
    return _LIMITS[isa]


def make_peer(key, options):
    """A peer of the roster that is not running yet."""
    variables = {"OMP_NUM_THREADS": str(options.threads), "MKL_NUM_THREADS": str(options.threads)} | options.limits
    if key == "ours":
        return Ours(options.bench, options.isa, options.seconds, options.cores)
    if key.startswith("onednn"):
        place = environment(key)
        # Its complaints go to the standard output, where answers are; what matters of them is in the answer.
        variables["ONEDNN_VERBOSE"] = "none"
        if key == "onednn-sycl":
            variables |= {"LD_LIBRARY_PATH": str(place / "lib"),
                          "OCL_ICD_FILENAMES": str(place / "lib" / "libintelocl.so")}
        return Peer(key, [str(onednn_program(key))], variables, options.cores)
    script = {"torch": "torch_peer.py", "onnxruntime": "onnxruntime_peer.py", "reference": "reference.py"}[key]
    python = environment("python") / "bin" / "python"
    kind = Reference if key == "reference" else Peer
    return kind(key, [str(python), str(HERE / "python" / script)], variables, options.cores)
