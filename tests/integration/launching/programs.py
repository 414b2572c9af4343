"""Programs that containers of these tests run: each prints what it found, most as JSON."""

from __future__ import annotations

STATUS = """
import json
lines = open("/proc/self/status").read().splitlines()
print(json.dumps(dict(line.split(":\\t", 1) for line in lines if line)))
"""
MOUNTS = """
import json
found = {}
for line in open("/proc/self/mountinfo"):
    own, _, shared = line.partition(" - ")
    found[own.split()[4]] = [own.split()[5].split(","), shared.split()[0]]
print(json.dumps(found))
"""
WRITABLE_PLACES = """
import json, os, stat
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys")]
    try:
        os.close(os.open(os.path.join(folder, "planted"), os.O_CREAT | os.O_WRONLY))
        os.unlink(os.path.join(folder, "planted"))
        found.append(folder)
    except OSError:
        pass
    paths = [os.path.join(folder, name) for name in files]
    found += [path for path in paths if stat.S_ISREG(os.lstat(path).st_mode) and os.access(path, os.W_OK)]
print(json.dumps(found))
"""
HARM = """
import errno, json, os
target = {target!r}
def attempt(harm):
    try:
        harm()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
file = os.path.join(target, {file!r})
print(json.dumps({{
    "write": attempt(lambda: open(file, "r+")),
    "append": attempt(lambda: open(file, "a")),
    "create": attempt(lambda: open(os.path.join(target, "planted"), "w")),
    "unlink": attempt(lambda: os.unlink(file)),
    "rename": attempt(lambda: os.rename(file, file + "2")),
    "chmod": attempt(lambda: os.chmod(file, 0o666)),
    "touch": attempt(lambda: os.utime(file)),
    "owner": os.stat(file).st_uid == os.getuid(),
}}))
"""
FILL = """
import errno
written = 0
try:
    with open("{folder}/filling", "wb", buffering=0) as file:
        while written < {most}:
            written += file.write(bytes(65536))
except OSError as error:
    assert error.errno == errno.ENOSPC, error
finally:
    import os; os.unlink("{folder}/filling")
print(written)
"""
RUN = """
import errno, os, shutil, subprocess
shutil.copy("/bin/true", "{folder}/true")
try:
    subprocess.run(["{folder}/true"])
    print("ran")
except OSError as error:
    print(errno.errorcode[error.errno])
os.unlink("{folder}/true")
"""
FORKS = """
import os, signal
children = []
try:
    while len(children) < 1000:
        child = os.fork()
        if not child:
            signal.pause()
        children.append(child)
except BlockingIOError:
    pass
finally:
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
print(len(children))
"""
FORBIDDEN = """
import ctypes, errno, json, os
libc = ctypes.CDLL(None, use_errno=True)
NEW_USER, NEW_NET, REMOUNT, X86 = 0x10000000, 0x40000000, 0x20, os.uname().machine == "x86_64"
def call(function, *arguments):
    ctypes.set_errno(0)
    failed = function(*arguments) == -1
    return errno.errorcode[ctypes.get_errno()] if failed else "done"
def mknod():
    try:
        os.mknod("/work/disk", 0o60666, os.makedev(254, 0))
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
print(json.dumps({
    "a namespace of users": call(libc.unshare, NEW_USER),
    "a namespace of networks": call(libc.unshare, NEW_NET),
    "a mount": call(libc.mount, b"none", b"/work", b"tmpfs", 0, None),
    "a remount": call(libc.mount, b"none", b"/", b"", REMOUNT, None),
    "a root": call(libc.chroot, b"/work"),
    "a user": call(libc.setuid, 0),
    "a group": call(libc.setgid, 0),
    "a host's name": call(libc.sethostname, b"other", 5),
    "the kernel's keys": call(libc.syscall, 250 if X86 else 219, 0, -3, 1),
    "a program of the kernel": call(libc.syscall, 321 if X86 else 280, 5, None, 0),
    "a device": mknod(),
}))
"""
CREDENTIALS = """
import json, os, socket
def opens(way):
    try:
        way()
        return True
    except OSError:
        return False
raw = lambda kind, *more: socket.socket(kind, socket.SOCK_RAW, *more).close()
print(json.dumps({
    "raw packets": opens(lambda: raw(socket.AF_PACKET)),
    "raw addresses": opens(lambda: raw(socket.AF_INET, socket.IPPROTO_ICMP)),
    "memory": opens(lambda: open("/proc/kcore", "rb").read(1)),
    "kernel messages": opens(lambda: open("/proc/kmsg", "rb")),
    "the engine": any(name.endswith(".sock") for folder, _, files in os.walk("/run") for name in files),
    "a setting of the kernel": opens(lambda: open("/proc/sys/kernel/hostname", "w")),
}))
"""
REACH = """
import errno, json, socket, threading
NOT_REACHED = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.ETIMEDOUT)
found = []
def connect(address, port, is_bound):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as wire:
        wire.settimeout({timeout_s})
        try:
            if is_bound:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
            wire.connect((address, port, 0, 2)[: 4 if family == socket.AF_INET6 else 2])
        except TimeoutError:
            return
        except OSError as error:
            if error.errno in NOT_REACHED:
                return
            assert error.errno == errno.ECONNREFUSED, error  # somebody is there to refuse
        found.append([address, port, "bound" if is_bound else "routed"])
ways = [(*place, is_bound) for place in {places!r} for is_bound in (False, True)]
threads = [threading.Thread(target=connect, args=way) for way in ways]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(found))
"""
SEND = """
import itertools, socket, struct
DEVICE = dict((name, index) for index, name in socket.if_nameindex())["eth0"]
THAT_ONE = [(socket.IPPROTO_IP, 8, struct.pack("=iII", DEVICE, 0, 0))]  # IP_PKTINFO
for (address, port), is_bound, is_direct, beside in itertools.product({places!r}, (0, 1), (0, 1), ([], THAT_ONE)):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, is_direct)
        if is_bound:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        try:
            wire.sendmsg([b"%d %d %d" % (is_bound, is_direct, bool(beside))], beside, 0, (address, port))
        except OSError:
            pass
"""
RESOLVE = """
import json, socket
found = {{}}
for name in {names!r}:
    try:
        found[name] = socket.gethostbyname(name)
    except OSError:
        pass
print(json.dumps(found))
"""
LISTEN = """
import socket, threading
listening = socket.create_server(("0.0.0.0", {port}))
def answer():
    while True:
        listening.accept()[0].close()
threading.Thread(target=answer, daemon=True).start()
"""
