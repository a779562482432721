"""Includes follow the layer table of cmake/KilnLayers.cmake, as linking does: a file may include files of its own layer and
of those that its layer may use. Only layers that link kiln_mlir include MLIR and LLVM."""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1]).resolve()
# Built by other means than kiln_layer: the shared libraries' own sources.
LIBRARIES = {"runtime/api": {"kiln_base", "kiln_device", "kiln_reference", "kiln_host", "kiln_plan", "kiln_exec"}, "compiler/api": {"kiln_base", "kiln_compiler"}}
SHARED = "runtime/include/"  # the public headers


def layer_table():
    text = (ROOT / "cmake/KilnLayers.cmake").read_text()
    return {name: set(uses.replace('"', "").split()) for name, uses in re.findall(r"set\(KILN_MAY_USE_(\w+)([^)]*)\)", text)}


def layers_in_cmake():
    """Layer -> its source files, and the layers that link MLIR."""
    sources, mlir = {}, set()
    for file in ROOT.glob("*/**/CMakeLists.txt"):
        if file.relative_to(ROOT).parts[0] not in ("runtime", "dialects", "passes", "codegen", "compiler"):
            continue
        for name, body in re.findall(r"^kiln_layer\((\w+)(.*?)\)$", file.read_text(), re.S | re.M):
            words = re.sub(r"#.*", "", body).split()
            listed = words[words.index("SOURCES") + 1:]
            sources[name] = {(file.parent / w).resolve().relative_to(ROOT) for w in listed if w.endswith(".cpp")}
            if "kiln_mlir" in words:
                mlir.add(name)
    return sources, mlir


def main():
    table, (sources, mlir) = layer_table(), layers_in_cmake()
    assert len(table) > 10 and set(sources) == set(table), f"tables differ: {set(sources) ^ set(table)}"
    for library, uses in LIBRARIES.items():
        table[library] = uses
    owner, folders = {}, collections.defaultdict(set)
    for layer, files in sources.items():
        for file in files:
            owner[file.with_suffix("")] = {layer}
            folders[file.parent].add(layer)
    for library in LIBRARIES:
        folders[pathlib.Path(library)] = {library}

    def layers_of(path):
        """A header belongs to its source's layer, else to those of the nearest folder with sources."""
        if path.with_suffix("") in owner:
            return owner[path.with_suffix("")]
        return next((folders[folder] for folder in path.parents if folder in folders), set())

    errors, checked = [], 0
    for folder in ("runtime", "dialects", "passes", "codegen", "compiler"):
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT)
            if path.suffix not in (".h", ".cpp", ".def", ".inc") or str(name).startswith(SHARED):
                continue
            mine = layers_of(name)
            if not mine:
                errors.append(f"{name}: is in no layer")
            for include in re.findall(r'^\s*#\s*include\s*["<]([^">]+)[">]', path.read_text(), re.M):
                checked += 1
                if include.startswith(("mlir/", "llvm/", "llvm-c/", "mlir-c/")):
                    if not mine & mlir:
                        errors.append(f"{name}: {include}, but {' and '.join(sorted(mine))} links no MLIR")
                    continue
                target = pathlib.Path(include)
                if not target.suffix or str(target).startswith(SHARED) or not (ROOT / target).exists():
                    continue  # system headers, generated files, public headers
                theirs = layers_of(target)
                if not any(a == b or b in table[a] for a in mine for b in theirs):
                    errors.append(f"{name} ({', '.join(sorted(mine))}) must not include {include} ({', '.join(sorted(theirs))})")
    assert checked > 1000, checked
    if errors:
        sys.exit("\n".join(errors))
    print(f"{checked} includes checked")


main()
