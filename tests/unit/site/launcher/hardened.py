"""What must hold of every container: asked of the configuration for the engine, and of the engine's own account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIXED = {"HOME", "LANG", "TMPDIR", "PYTHONSAFEPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
OF_THE_IMAGE = {"PATH", "SSL_CERT_FILE"}
FLAGS = {"noexec", "nosuid", "nodev"}


def broken_walls(config: Mapping[str, Any], host: Mapping[str, Any]) -> list[str]:
    """The names of the properties that do not hold."""
    walls = {**_of_the_process(config, host), **_of_the_kernel(host), **_of_the_resources(host), **_of_the_files(host)}
    return [name for name, holds in walls.items() if not holds]


def foreign_sources(host: Mapping[str, Any], allowed: list[Path]) -> list[str]:
    """Mounts of anything but the folders given or what lies below them."""
    sources = [Path(mount["Source"]) for mount in host["Mounts"]]
    return [
        str(source)
        for source in sources
        if ".." in source.parts or not any(source.is_relative_to(folder) for folder in allowed)
    ]


def _of_the_process(config: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, bool]:
    uid, _, gid = config["User"].partition(":")
    names = {line.partition("=")[0] for line in config["Env"]}
    labels = config["Labels"]
    return {
        "a numeric user who is not root": int(uid) > 0 and int(gid) > 0,
        "image by digest": config["Image"].startswith("sha256:"),
        "no environment but the fixed one": names <= FIXED | OF_THE_IMAGE,
        "safe path": "PYTHONSAFEPATH=1" in config["Env"],
        "own command": config["Entrypoint"][-1] == labels["datacanal.role"] and not config["Cmd"],
        "hostname": config["Hostname"] == labels["datacanal.name"],
        "labels": {"datacanal.site", "datacanal.scope", "datacanal.pool", "datacanal.boot"} <= set(labels),
        "no terminal": not config["Tty"] and not config["OpenStdin"],
        "init": host["Init"] is True,
        "ends for good": host["RestartPolicy"]["Name"] == "no" and not host["AutoRemove"],
        "no volumes": not config.get("Volumes") and not host.get("Binds") and not host.get("VolumesFrom"),
    }


def _of_the_kernel(host: Mapping[str, Any]) -> dict[str, bool]:
    return {
        "read-only root": host["ReadonlyRootfs"] is True,
        "not privileged": host["Privileged"] is False,
        "no capabilities": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
        "no new privileges, default seccomp": host["SecurityOpt"] == ["no-new-privileges:true"],
        "own pool network": len(host["NetworkMode"]) == 64,
        "no name server": host["Dns"] == ["127.0.0.1"] and host["DnsSearch"] == ["."] and not host["ExtraHosts"],
        "private IPC": host["IpcMode"] == "private",
        "names fail fast": host["DnsOptions"] == ["ndots:1", "timeout:1", "attempts:1"],
        "own namespaces": not any(host.get(mode) for mode in ("PidMode", "UTSMode", "UsernsMode", "CgroupParent")),
        "no ports": not host["PublishAllPorts"] and not host["PortBindings"],
        "no devices": not host["Devices"] and not host.get("DeviceRequests") and not host.get("DeviceCgroupRules"),
        "no further groups": not host["GroupAdd"],
    }


def _of_the_resources(host: Mapping[str, Any]) -> dict[str, bool]:
    limits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]}
    log = host["LogConfig"]
    return {
        "pids": host["PidsLimit"] == 128,
        "memory": 32 * 2**20 <= host["Memory"] == host["MemorySwap"],
        "no swapping": host["MemorySwappiness"] == 0,
        "killed when out of memory": not host["OomKillDisable"] and host["OomScoreAdj"] > 0,
        "processors": 10**7 <= host["NanoCpus"] <= 1024 * 10**9,
        "small shm": host["ShmSize"] == 16 * 2**20,
        "limits": limits == {"nofile": (4096, 4096), "core": (0, 0)},
        "logs are capped": log["Type"] == "local" and log["Config"] == {"max-size": "1m", "max-file": "2"},
    }


def _of_the_files(host: Mapping[str, Any]) -> dict[str, bool]:
    tmpfs = {target: set(options.split(",")) for target, options in host["Tmpfs"].items()}
    bounded = [any(option.startswith("size=") for option in options) for options in tmpfs.values()]
    mounts = host["Mounts"]
    writable = [mount for mount in mounts if not mount.get("ReadOnly")]
    propagations = {(mount["BindOptions"].get("Propagation"), mount["BindOptions"]["NonRecursive"]) for mount in mounts}
    return {
        "tmpfs": set(tmpfs) == {"/tmp", "/work"} and all(options >= FLAGS for options in tmpfs.values()),  # noqa: S108
        "tmpfs have a size": all(bounded),
        "only binds": {mount["Type"] for mount in mounts} == {"bind"},
        "nothing spreads": propagations == {(None, True)},
        "only scratch is writable": all(mount["Target"].endswith("/scratch") for mount in writable),
        "a channel": "/run/datacanal" in [mount["Target"] for mount in mounts],
    }
