"""docker-compose.yml and Dockerfile, checked by every means short of an engine: secrets, health, order, commands."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend import queue
from backend.embedded.studio import INTERACTIVE_COMMAND, WORKER_COMMAND, web_command
from backend.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = ("migrate", "web", "worker", "interactive", "worker-gpu")
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)([^}]*)\}")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_every_secret_is_required_and_none_has_a_default() -> None:
    uses = VARIABLE.findall(COMPOSE)
    secrets = [(name, rest) for name, rest in uses if "PASSWORD" in name]
    assert {name for name, _ in secrets} == {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
    assert all(rest.startswith(":?set ") for _, rest in secrets)
    assert all(rest.startswith(":-") for name, rest in uses if "PASSWORD" not in name)


def test_the_example_environment_names_every_variable_and_no_secret() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    assert set(example) == {name for name, _ in VARIABLE.findall(COMPOSE)}
    assert [name for name, value in example.items() if "PASSWORD" in name and value] == []


@pytest.mark.parametrize("name", ["postgres", "valkey", "web", "worker", "interactive", "worker-gpu"])
def test_every_lasting_service_has_a_health_check_and_is_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert service["healthcheck"]["retries"] >= 3
    assert service["restart"] == "unless-stopped"


def test_services_start_once_what_they_need_is_healthy() -> None:
    healthy, done = {"condition": "service_healthy"}, {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["depends_on"] == {"postgres": healthy}
    for name in ("web", "worker", "interactive", "worker-gpu"):
        assert SERVICES[name]["depends_on"] == {"postgres": healthy, "valkey": healthy, "migrate": done}
    assert SERVICES["migrate"]["restart"] == "no"


def test_only_the_web_service_is_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:${UNMASK_PORT:-7860}:7860"]}


def test_one_image_serves_all_of_our_services_without_privileges() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert (service["build"], service["image"]) == (".", SERVICES["web"]["image"])
        assert service["cap_drop"] == ["ALL"]
        assert service["volumes"] == ["studio-data:/data"]
        assert service["environment"]["DATA_DIR"] == "/data"
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    [device] = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_the_services_run_the_very_commands_that_unmask_up_runs() -> None:
    assert tuple(SERVICES["worker"]["command"]) == WORKER_COMMAND[WORKER_COMMAND.index("-m") + 1 :]
    assert tuple(SERVICES["interactive"]["command"]) == INTERACTIVE_COMMAND[INTERACTIVE_COMMAND.index("-m") + 1 :]
    assert INTERACTIVE_COMMAND[INTERACTIVE_COMMAND.index("--queues") + 1] == queue.INTERACTIVE_QUEUE
    web = web_command("0.0.0.0", 7860)
    assert tuple(SERVICES["web"]["command"]) == web[web.index("-m") + 1 :]
    assert SERVICES["worker-gpu"]["command"] == SERVICES["worker"]["command"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["migrate", "web", "worker", "interactive"])
def test_every_command_is_installed_and_knows_its_options(name: str) -> None:
    program, *words = SERVICES[name]["command"]
    executable = shutil.which(program, path=str(Path(sys.executable).parent))
    assert executable is not None
    helps = {"migrate": ["migrate"], "web": []}
    of_celery = ["--app", "backend.queue:celery_app", "worker"]
    known = "".join(help_of(executable, *words_before) for words_before in ([], helps.get(name, of_celery)))
    assert [word for word in words if word.startswith("--") and word not in known] == []


def help_of(*command: str) -> str:
    """What a program says of its options."""
    return subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_the_web_services_application_exists() -> None:
    place = next(word for word in SERVICES["web"]["command"] if ":" in word)
    module, name = place.split(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_every_setting_of_the_compose_file_is_a_setting() -> None:
    known = {"GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE", "HF_HOME"}
    for field, info in Settings.model_fields.items():
        known |= {f"UNMASK_{field.upper()}"}
        known |= set(map(str, getattr(info.validation_alias, "choices", ())))
    for name in OURS:
        assert set(SERVICES[name]["environment"]) <= known


def test_models_are_cached_in_the_volume_and_the_hub_is_asked_only_where_a_person_says_so() -> None:
    for name in ("worker", "interactive", "worker-gpu"):
        environment = SERVICES[name]["environment"]
        assert environment["HF_HOME"].startswith(environment["DATA_DIR"] + "/")
        assert environment["HF_HUB_OFFLINE"] == "${HF_HUB_OFFLINE:-1}"


def test_the_image_installs_the_lock_before_the_code_and_runs_as_a_user() -> None:
    steps = instructions()
    words = [word for word, _ in steps]
    assert words[0] == "FROM"
    assert not re.search(r":latest$|^[^:@]+$", steps[0][1])
    texts = [f"{word} {rest}" for word, rest in steps]
    lock = next(index for index, text in enumerate(texts) if "--requirement requirements.lock" in text)
    code = next(index for index, text in enumerate(texts) if text.startswith("COPY backend"))
    assert lock < code
    users = [rest for word, rest in steps if word == "USER"]
    assert users[-1:] == ["unmask"]
    assert "ADD" not in words
    assert all("--no-cache-dir" in text for text in texts if "pip install" in text)


def test_no_service_of_ours_is_root_and_the_volume_is_its_users() -> None:
    """A new named volume takes over owner and mode of the image's folder, as it is where VOLUME stands."""
    steps = instructions()
    made = next(rest for word, rest in steps if word == "RUN" and "useradd" in rest)
    assert re.search(r"--uid 10001\b.* unmask ", made)
    assert re.search(r"install --directory --owner=unmask --group=unmask --mode=0750 /data$", made)
    last = [word for word, _ in steps].index("USER")
    assert [rest for word, rest in steps if word == "USER"] == ["unmask"]
    assert ("VOLUME", "/data") in steps[last:]
    assert [rest for word, rest in steps[last:] if word in ("RUN", "COPY")] == []
    assert any(rest.startswith("chmod --recursive a+rX .") for word, rest in steps if word == "RUN")
    for name in OURS:
        assert "user" not in SERVICES[name]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


def test_servers_that_are_not_ours_step_down_from_root() -> None:
    """Valkey's image does so only for its own command, so the user is named; that of Postgres does it at each start."""
    assert SERVICES["valkey"]["command"][0] == "sh"
    assert SERVICES["valkey"]["user"] == "valkey"
    assert {"user", "command", "entrypoint"}.isdisjoint(SERVICES["postgres"])


def test_celery_has_no_word_of_root_for_the_images_user() -> None:
    # The user's group has a name in the image, as group 1 has everywhere: where one has none, Celery takes it for root.
    user = "import os; os.getuid = os.geteuid = lambda: 10001; os.getgid = os.getegid = lambda: 1; "
    check = "from celery.platforms import check_privileges; check_privileges(['json'])"
    told = subprocess.run([sys.executable, "-c", user + check], capture_output=True, text=True, check=True)
    assert told.stderr == ""


def test_everything_that_the_image_copies_exists_and_is_in_the_build_context() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [source for word, rest in instructions() if word == "COPY" for source in rest.split()[:-1]]
    assert [source for source in copied if not (ROOT / source.removeprefix("./")).exists()] == []
    assert {source.removeprefix("./") for source in copied} == allowed
