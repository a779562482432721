"""Pass tests: every .mlir file holds its command lines (RUN:) and what FileCheck must find."""
import os

import lit.formats

config.name = "kiln"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".mlir"]
config.test_source_root = os.path.join(config.kiln_source, "test")
config.test_exec_root = os.path.join(config.kiln_build, "test", "lit")
# Tests of locations ask for them; the others read better without.
config.substitutions.append((r"\bkiln-opt(?=\s)(?!.*mlir-print-debuginfo)", "kiln-opt --mlir-print-debuginfo=false"))
config.excludes = ["Inputs"]
config.environment["PATH"] = os.pathsep.join([os.path.join(config.kiln_build, "bin"), config.llvm_tools, os.environ["PATH"]])
