"""Changes the number of processes in a group of a running supervisord.

`supervisorctl update` after a change of numprocs restarts the whole group, so this module adds and
removes single processes. The group's own configuration stays as in the file: `supervisorctl
reread` and `update` find no change.
"""

import json
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.options import FastCGIProcessConfig, ProcessConfig, UnhosedConfigParser
from supervisor.states import ProcessStates

from ops.runtime.fleet_settings import MOST_PROCESSES

SCALABLE = ("server", "worker")


class CannotScale(ValueError):
    """The request is invalid; the text gives the reason."""


class GroupScaling:
    """The numbers of processes that differ from the configured ones, by group.

    They are stored in `scale.json`, in the directory of the pid file, and survive a restart.
    """

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord
        self._options = supervisord.options
        self._file = Path(self._options.pidfile).with_name("scale.json")
        self._draining: set[tuple[str, str]] = set()
        self._returning: set[tuple[str, str]] = set()
        self._wanted = self._load()
        events.subscribe(events.ProcessStateStoppedEvent, self._on_stopped)
        events.subscribe(events.ProcessGroupAddedEvent, self._on_group_added)
        for name in list(self._wanted):
            self._apply(name)

    def scale(self, name: str, count: int) -> dict[str, list[str]]:
        """Set the number of a group's processes.

        Returns the names of those `added` and those `draining`, without waiting: a draining process
        is removed when it has ended. Raises `CannotScale`.
        """
        if name not in SCALABLE:
            raise CannotScale(f"{name!r} cannot be scaled; {' and '.join(SCALABLE)} can")
        if not 0 <= count <= MOST_PROCESSES:
            raise CannotScale(f"the number must be from 0 to {MOST_PROCESSES}")
        self._configs(name, count)  # raises for a program that cannot be read
        self._wanted[name] = count
        if count == len(self._supervisord.process_groups[name].config.process_configs):
            del self._wanted[name]
        self._save()
        return self._apply(name)

    def number(self, name: str) -> int:
        """Return the wanted number of processes of a group; raises `CannotScale`."""
        if name not in self._supervisord.process_groups:
            raise CannotScale(f"no group {name!r}")
        configured = self._supervisord.process_groups[name].config.process_configs
        return self._wanted.get(name, len(configured))

    def _apply(self, name: str) -> dict[str, list[str]]:
        group = self._supervisord.process_groups.get(name)
        if group is None:  # no longer in supervisord.conf
            return {"added": [], "draining": []}
        wanted = {config.name: config for config in self._configs(name, self.number(name))}
        added = [each for each in wanted if self._ensure(group, wanted[each])]
        draining = [each for each in sorted(group.processes) if each not in wanted]
        for each in draining:
            self._drain(group, group.processes[each])
        return {"added": added, "draining": draining}

    def _configs(self, name: str, count: int) -> list[Any]:
        parser = UnhosedConfigParser()
        parser.expansions = self._options.environ_expansions
        parser.read(self._options.configfile)
        program, fcgi = f"program:{name}", f"fcgi-program:{name}"
        section = fcgi if parser.has_section(fcgi) else program
        if not parser.has_section(section):
            raise CannotScale(f"{name} is not a program of {self._options.configfile}")
        parser.set(section, "numprocs", str(count))
        kind = FastCGIProcessConfig if section == fcgi else ProcessConfig
        try:
            configs: list[Any] = self._options.processes_from_section(parser, section, name, kind)
        except ValueError as error:
            raise CannotScale(str(error)) from error
        return configs

    def _ensure(self, group: Any, config: Any) -> bool:
        """Add a process unless it exists and stays; return whether it was added."""
        key = (group.config.name, config.name)
        if key in self._draining:  # still draining: _on_stopped replaces it
            self._draining.remove(key)
            self._returning.add(key)
        elif config.name in group.processes:
            return False
        else:
            self._add(group, config)
        return True

    def _add(self, group: Any, config: Any) -> None:
        """Add a process to its group; supervisord starts it (autostart)."""
        config.create_autochildlogs()
        group.processes[config.name] = config.make_process(group)

    def _drain(self, group: Any, process: Any) -> None:
        key = (group.config.name, process.config.name)
        if key in self._draining:
            return
        self._returning.discard(key)
        self._draining.add(key)
        if process.get_state() in {ProcessStates.RUNNING, ProcessStates.STARTING}:
            process.stop()
        elif process.get_state() != ProcessStates.STOPPING:
            self._remove(group, process)

    def _on_stopped(self, event: Any) -> None:
        """Remove a drained process from its group, or replace it."""
        process = event.process
        group = process.group
        key = (group.config.name, process.config.name)
        if key in self._draining:
            self._remove(group, process)
        elif key in self._returning:
            self._returning.remove(key)
            self._add(group, process.config)

    def _remove(self, group: Any, process: Any) -> None:
        self._draining.remove((group.config.name, process.config.name))
        del group.processes[process.config.name]

    def _warn(self, text: str) -> None:
        self._options.logger.warn(text)  # noqa: G010  # supervisor's own logger has no warning()

    def _on_group_added(self, event: Any) -> None:
        if event.group in self._wanted:
            self._apply(event.group)

    def _load(self) -> dict[str, int]:
        try:
            numbers: dict[str, int] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            self._warn(f"{self._file} is not valid JSON: the numbers of supervisord.conf apply")
            return {}
        return numbers

    def _save(self) -> None:
        """Replace the file in one step, so that a crash cannot leave half of it."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._wanted))
        new.replace(self._file)
