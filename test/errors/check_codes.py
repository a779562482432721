"""Every error code of runtime/base/Errors.def can come up: some source file outside the table names it."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
codes = re.findall(r"^X\((E\d{4}),", (root / "runtime/base/Errors.def").read_text(), re.M)
used = set()
for folder in ("runtime", "dialects", "passes", "codegen", "compiler", "tools"):
    for path in (root / folder).rglob("*"):
        if path.suffix in (".h", ".cpp", ".td", ".py"):
            used.update(re.findall(r"\b(?:KILN-)?(E\d{4})\b", path.read_text()))
unused = [code for code in codes if code not in used]
assert len(codes) > 60, codes
if unused or len(set(codes)) != len(codes):
    sys.exit(f"codes that nothing reports: {', '.join(unused)}; codes listed twice: {[c for c in codes if codes.count(c) > 1]}")
print(f"{len(codes)} codes, all in use")
