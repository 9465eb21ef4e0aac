#!/usr/bin/env python3
"""Writes the licences of all that the module is built from. usage: third-party.py GUEST SELF_CONTAINED_CARGO > THIRD-PARTY"""
import hashlib, json, os, subprocess, sys

guest, cargo = sys.argv[1:3]
run = lambda *args: subprocess.run([cargo, *args], cwd=guest, check=True, capture_output=True, text=True).stdout
metadata = json.loads(run("metadata", "--locked", "--format-version", "1", "--filter-platform", "wasm32-wasip1"))
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

# What is linked in: normal dependencies of the module, without procedural macros and what only builds or tests.
linked, queue = set(), [metadata["resolve"]["root"]]
while queue:
    identity = queue.pop()
    if identity in linked or any("proc-macro" in target["kind"] for target in packages[identity]["targets"]):
        continue
    linked.add(identity)
    for dependency in nodes[identity]["deps"]:
        if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
            queue.append(dependency["pkg"])

print("What the module of commands is built from, with its licences. Written by third-party.py.\n")
print("Rust's standard library 1.96.0: MIT OR Apache-2.0")
print("wasi-libc, as zig 0.17.0 ships it: MIT OR Apache-2.0 WITH LLVM-exception OR BSD-2-Clause")
print("musl, parts of which wasi-libc contains: MIT")
print("compiler-rt, as zig 0.17.0 ships it: MIT")
print("oniguruma, inside onig_sys: BSD-2-Clause")
texts = {}
for identity in sorted(linked, key=lambda identity: (packages[identity]["name"], packages[identity]["version"])):
    package = packages[identity]
    if package["source"] is None:
        continue
    licence = package["license"] or "see the text"
    assert licence != "see the text" or package["license_file"], package["name"]
    print(f"{package['name']} {package['version']}: {licence}")
    folder = os.path.dirname(package["manifest_path"])
    for name in sorted(os.listdir(folder)):
        if name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "UNLICENSE", "NOTICE")):
            path = os.path.join(folder, name)
            if not os.path.isfile(path) or name.upper().endswith((".HTML", ".TOML")):
                continue
            text = open(path, errors="replace").read().strip()
            # The Apache licence has one text, whoever's it is.
            key = "apache" if "Apache License" in text[:300] and "Version 2.0" in text[:300] else hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
            texts.setdefault(key, (text, []))[1].append(package["name"])
for text, names in texts.values():
    print("\n" + "-" * 80 + "\n" + ", ".join(sorted(set(names))) + "\n\n" + text)
