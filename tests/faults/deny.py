"""Runs a command for which some system calls fail: deny.py NUMBER[:ERRNO[:ARGUMENT:MASK]]... -- COMMAND...

With ARGUMENT and MASK only calls fail whose argument has a bit of the mask. x86_64 only.
"""
import ctypes
import os
import struct
import sys

LD, JEQ, JSET, RET = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def rule(spec):
    parts = [int(part, 0) for part in spec.split(":")]
    number, errno = parts[0], parts[1] if len(parts) > 1 else 1
    code = [(LD, 0, 0, 0)]
    if len(parts) == 4:
        code += [(JEQ, 0, 3, number), (LD, 0, 0, 16 + 8 * parts[2]), (JSET, 0, 1, parts[3])]
    else:
        code += [(JEQ, 0, 1, number)]
    return code + [(RET, 0, 0, ERRNO | errno)]


def main():
    at = sys.argv.index("--")
    program = [step for spec in sys.argv[1:at] for step in rule(spec)] + [(RET, 0, 0, ALLOW)]
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, header, 0, 0):
        sys.exit(f"deny.py: the filter could not be set: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[at + 1], sys.argv[at + 1 :])


main()
