"""The environment in which git and DVC run: what Enigma sets, whatever this machine's and a repository's files say.

A repository is data. Its hooks, submodules, helpers and links do nothing, its URL names no program, and neither its
`.dvc/config` nor a settings file of the machine chooses where data goes. What an installation needs of git (a helper
for credentials, a proxy, certificates) it sets by `GIT_CONFIG_COUNT`, `GIT_SSH_COMMAND`, `GIT_ASKPASS` or
`GIT_SSL_CAINFO`.
"""

from __future__ import annotations

import configparser
import io
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from enigma_tasks.config import child_environment
from enigma_tasks.errors import UsageError
from enigma_tasks.s3_settings import load_s3_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from urllib.parse import SplitResult

REMOTE = "storage"
DVC_CONFIG = ".dvc/config"
_QUIET = {
    "DVC_NO_ANALYTICS": "1",
    "GIT_AUTHOR_NAME": "Enigma",
    "GIT_AUTHOR_EMAIL": "enigma@localhost",
    "GIT_COMMITTER_NAME": "Enigma",
    "GIT_COMMITTER_EMAIL": "enigma@localhost",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C",
}
_KEPT = (
    *("GIT_SSH", "GIT_ASKPASS", "GIT_SSL_", "GIT_HTTP_", "GIT_PROXY_"),
    *("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"),
)
"""Of git's own variables those that an installation may set; others belong to another repository."""
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "commit.gpgSign": "false",
    "push.gpgSign": "false",
    "gc.auto": "0",  # it would run on in the background
    "maintenance.auto": "false",
    "protocol.allow": "never",
    **{f"protocol.{name}.allow": "always" for name in ("file", "git", "http", "https", "ssh")},
}
LOCAL_RECEIVER = "git -c core.hooksPath=/dev/null -c core.alternateRefsCommand=true receive-pack"
"""What takes a push into a repository on this machine: without the hooks in it, whatever its settings say."""
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$ENIGMA_GIT_USER_{n}" "$ENIGMA_GIT_PASSWORD_{n}"; }; f'
)
"""A credential helper of git's: a shell function that reads variables, so that `ps` shows their names only."""
_TRANSPORT = re.compile(r"[A-Za-z0-9+.-]+::")


def public_url(url: str) -> str:
    """A repository's URL without the login in it: what may stand on a command line and in a file.

    Raises:
        UsageError: the URL would be an option or name a program (`ext::`), has control characters, or a password that
            only the command line could pass on.
    """
    if url.startswith("-") or _TRANSPORT.match(url) or not url.isprintable():
        raise UsageError("a git repository is a path, or an https, ssh, git or file URL")
    parts = _parts(url)
    if parts is None or "@" not in parts.netloc:
        return url
    login, _, host = parts.netloc.rpartition("@")
    if parts.scheme not in ("http", "https", "file"):
        if ":" in login:
            raise UsageError(f"no password in the URL of a git repository over {parts.scheme}: use a key")
        return url
    return urlunsplit(parts._replace(netloc=host))


def quiet_environment(scratch: Path, *urls: str) -> dict[str, str]:
    """This process's environment for git and DVC.

    Args:
        scratch: a private folder, for caches and settings.
        urls: of the repositories; a login in one goes to git through a credential helper, never on a command line.

    Raises:
        UsageError: as `public_url`; `GIT_CONFIG_COUNT` is no number; or two URLs of one server have different logins.
    """
    folders = {f"DVC_{name}_DIR": scratch / name.lower() for name in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG")}
    inherited = child_environment({})
    found = {k: v for k, v in inherited.items() if not k.startswith(("GIT_", "DVC_")) or k.startswith(_KEPT)}
    found |= _QUIET | {name: str(folder) for name, folder in folders.items()} | {"TMPDIR": str(scratch)}
    settings = dict(_SETTINGS)
    for number, (server, (user, password)) in enumerate(_logins(urls).items()):
        settings[f"credential.{server}.helper"] = _HELPER.replace("{n}", str(number))
        found |= {f"ENIGMA_GIT_USER_{number}": user, f"ENIGMA_GIT_PASSWORD_{number}": password}
    # as a file for DVC's own git, and for a repository on this machine; as variables, which a clone's file cannot undo
    file = scratch / "gitconfig"
    file.write_text("".join(f"{_section(key)}\t{_name(key)} = {_quoted(value)}\n" for key, value in settings.items()))
    found |= {"GIT_CONFIG_GLOBAL": str(file), "GIT_CEILING_DIRECTORIES": str(scratch.parent)}
    found |= _numbered(settings, _count(found.get("GIT_CONFIG_COUNT", "")))
    if load_s3_settings(found).addressing == "path" and not {"AWS_CONFIG_FILE", "AWS_PROFILE"} & found.keys():
        # DVC's S3 client reads the addressing style from a file only
        aws = scratch / "aws"
        aws.write_text("[default]\ns3 =\n  addressing_style = path\n")
        found["AWS_CONFIG_FILE"] = str(aws)
    return found


def dvc_settings(storage: str) -> str:
    """`.dvc/config` of a workspace: the remote and what else matters, so that no other file decides it."""
    config = configparser.ConfigParser(interpolation=None)
    config["core"] = {"analytics": "false", "check_update": "false", "autostage": "false", "remote": REMOTE}
    # `verify`: what was written over on the remote is not what the commit's digest names
    config[f"'remote \"{REMOTE}\"'"] = {"url": storage, "verify": "true"}
    text = io.StringIO()
    config.write(text)
    return text.getvalue()


def allowed_remote(storage: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What the settings of a repository that is imported from may say of its remote: what Enigma's own would."""
    endpoint = load_s3_settings(environment).endpoint
    return {"url": storage, "verify": "true"} | ({"endpointurl": endpoint} if endpoint else {})


def _parts(url: str) -> SplitResult | None:
    if "://" not in url:
        return None
    try:
        return urlsplit(url)
    except ValueError:
        raise UsageError("the URL of a git repository is malformed") from None


def _logins(urls: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Server -> user and password, of the URLs that have a login."""
    found: dict[str, tuple[str, str]] = {}
    for url in urls:
        clean = _parts(public_url(url))
        parts = _parts(url)
        if parts is None or clean is None or parts.netloc == clean.netloc:
            continue
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        server = f"{clean.scheme}://{clean.netloc}"
        login = unquote(user), unquote(password)
        if not all(part.isprintable() for part in login):
            raise UsageError("the login in the URL of a git repository has control characters")
        if found.setdefault(server, login) != login:
            raise UsageError("the URLs of two git repositories on one server have different logins")
    return found


def _numbered(settings: Mapping[str, str], first: int) -> dict[str, str]:
    """`GIT_CONFIG_COUNT` and its pairs, after those that the installation has set."""
    found = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings.items(), first):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def _count(given: str) -> int:
    if given and not (given.isascii() and given.isdecimal()):
        raise UsageError("GIT_CONFIG_COUNT is no number")
    return int(given or 0)


def _section(key: str) -> str:
    section, *middle, _ = key.split(".")
    subsection = ".".join(middle)
    return f'[{section} "{subsection}"]\n' if subsection else f"[{section}]\n"


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
