"""How many processes a group of a live supervisord has: adds some, drains some, leaves the rest be.

`supervisorctl update` after a change of numprocs restarts the whole group, so this adds processes
to the group and takes them away itself. The group's own configuration stays as the file has it:
`supervisorctl reread` and `update` see no change.
"""

import json
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.options import FastCGIProcessConfig, ProcessConfig, UnhosedConfigParser
from supervisor.states import ProcessStates

from ops.fleet.scaling.metrics_cleanup import delete_metrics

SCALABLE = ("server", "worker")
LARGEST = 99  # names have two digits


class CannotScale(ValueError):
    """The request makes no sense; the text says why."""


class GroupScaling:
    """The wanted number of processes a group, where it is not the one of supervisord.conf.

    The numbers are kept in `scale.json` beside supervisord's pid file, so that they survive its
    restart.
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
        """Make `count` the number of a group's processes.

        Returns the names of those `added` and those `draining`, at once: a drained process
        disappears when it has ended. Raises `CannotScale`.
        """
        if name not in SCALABLE:
            raise CannotScale(f"{name!r} has no number; {' and '.join(SCALABLE)} have")
        if not 1 <= count <= LARGEST:
            raise CannotScale(f"the number must be from 1 to {LARGEST}")
        self._configs(name, count)  # a program that cannot be read is refused here
        self._wanted[name] = count
        if count == len(self._supervisord.process_groups[name].config.process_configs):
            del self._wanted[name]
        self._save()
        return self._apply(name)

    def number(self, name: str) -> int:
        """Return how many processes a group is to have; raises `CannotScale`."""
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
        """Have a process of this configuration; say whether there was none that stays."""
        key = (group.config.name, config.name)
        if key in self._draining:  # still draining: _on_stopped puts a new one in its place
            self._draining.remove(key)
            self._returning.add(key)
        elif config.name in group.processes:
            return False
        else:
            self._add(group, config)
        return True

    def _add(self, group: Any, config: Any) -> None:
        """Put a new process into its group; supervisord starts it by itself (autostart)."""
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
        """Take a drained process out of its group, or put a new one in its place."""
        process = event.process
        group = process.group
        key = (group.config.name, process.config.name)
        if key in self._draining:
            self._remove(group, process)
        elif key in self._returning:
            self._returning.remove(key)
            self._add(group, process.config)

    def _remove(self, group: Any, process: Any) -> None:
        name = process.config.name
        self._draining.remove((group.config.name, name))
        del group.processes[name]
        delete_metrics(group.config.name, name, Path(process.config.directory or "."), self._warn)

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
            self._warn(f"{self._file} is not readable: supervisord.conf counts")
            return {}
        return numbers

    def _save(self) -> None:
        """Write the file anew in one step, so that no crash leaves half of it."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._wanted))
        new.replace(self._file)
