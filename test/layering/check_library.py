"""libkiln exports its C API and nothing else, and needs only the C library."""
import subprocess
import sys

library, static_runtime = sys.argv[1], sys.argv[2] == "1"
symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
exported = [line.split()[-1] for line in symbols.splitlines()]
foreign = [s for s in exported if not s.startswith("kiln_")]
dynamic = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
needed = [line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "(NEEDED)" in line]
allowed = ("libc.so", "libm.so", "libpthread.so", "libdl.so", "ld-linux")
surplus = [n for n in needed if not n.startswith(allowed)] if static_runtime else [n for n in needed if "LLVM" in n or "MLIR" in n]
if foreign or surplus or not exported:
    sys.exit(f"exports beyond the C API: {foreign}; libraries it must not need: {surplus}")
print(f"{len(exported)} functions exported; needs {', '.join(needed)}")
