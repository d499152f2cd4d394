"""The rules of docker/: nothing runs as root, nothing is unpinned, all that is named exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from marketplace_ai.worker.bootstep import STOP_SECONDS
from tests.images import files
from tools import pins

IMAGES = ("web", "worker", "worker-cuda")
OURS = ("migrate", "web", "worker", "beat")
#: An image with a version of three numbers, as name:1.2.3-variant, with or without a digest.
PINNED = re.compile(r"[\w./-]+:\d+\.\d+\.\d+(-[\w.-]+)?(@sha256:[0-9a-f]{64})?")


def seconds(duration: str) -> int:
    assert duration.endswith("s"), duration
    return int(duration[:-1])


def services() -> dict[str, Any]:
    found: dict[str, Any] = files.compose()["services"]
    return found


# -- the Dockerfile ----------------------------------------------------------------------------


def test_every_stage_is_made_from_a_pinned_image_or_another_stage() -> None:
    stages = {i.stage for i in files.instructions()}
    (image,) = [i.value for i in files.instructions() if i.word == "ARG" and not i.stage]
    name, _, default = image.partition("=")
    assert PINNED.fullmatch(default)
    for stage in stages - {""}:
        assert files.parent(stage) in stages | {f"${{{name}}}"}


@pytest.mark.parametrize("stage", IMAGES)
def test_an_image_runs_by_argv_and_not_as_root(stage: str) -> None:
    assert files.values(stage, "USER")[-1] == "10001:10001"
    assert files.command(stage) and files.health_check(stage)
    assert not files.values(stage, "ENTRYPOINT")
    # What comes after USER belongs to root all the same: the process cannot change its own code.
    assert not any("--chown" in value for value in files.values(stage, "COPY"))


@pytest.mark.parametrize("stage", IMAGES)
def test_an_image_holds_no_secret(stage: str) -> None:
    names = [*files.environment(stage), *files.values(stage, "ARG")]
    assert not [name for name in names if re.search("SECRET|PASSWORD|TOKEN|KEY|_URL", name)]


def test_what_is_copied_is_there_and_sent_to_the_builder() -> None:
    stages = {i.stage for i in files.instructions()} - {""}
    sources = {source for stage in stages for source, _ in files.copied(stage)}
    lines = (files.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert sources == allowed
    assert all((files.ROOT / source).exists() for source in sources)


def test_stages_that_are_copied_from_exist() -> None:
    stages = {i.stage for i in files.instructions()}
    named = re.findall(r"--from=(\S+)", files.DOCKERFILE.read_text(encoding="utf-8"))
    assert named and set(named) <= stages


def test_packages_come_from_lists_in_pinned_versions() -> None:
    build = [i for i in files.instructions() if i.word == "RUN" and "pip install" in i.value]
    assert {files.environment(i.stage)["PIP_CONSTRAINT"] for i in build} == {
        "/src/requirements/constraints.txt"
    }
    installed = [i.value.partition("pip install ")[2].strip() for i in build]
    by_name = {line.removeprefix("--no-deps ") for line in installed if "-r " not in line}
    by_name -= {"/wheels/*.whl"}
    pinned = pins.pins()
    assert by_name == {f"{name}=={pinned[name]}" for name in ("torch", "setuptools")}
    lists = {name for line in installed for name in re.findall(r"-r requirements/(\S+)", line)}
    assert lists == set(pins.LISTS)


def test_the_makefile_installs_the_same_torch() -> None:
    makefile = (files.ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"TORCH ?= torch=={pins.pins()['torch']}\n" in makefile


# -- the requirement lists ---------------------------------------------------------------------


def names(name: str) -> dict[str, Requirement]:
    return {canonicalize_name(r.name): r for r in pins.listed(name)}


def test_every_package_of_the_images_is_pinned() -> None:
    pinned = pins.pins()
    assert pins.installed(pinned).keys() <= pinned.keys()
    for name in pins.LISTS:
        for package, requirement in names(name).items():
            assert requirement.specifier.contains(pinned[package]), requirement


def test_web_processes_get_the_apps_packages_but_torchs() -> None:
    base, web, dev = names("base.txt"), names("web.txt"), names("dev.txt")
    assert base.keys() - web.keys() == {"torch", "sentence-transformers"}
    # The lists say the same of a package wherever they name it.
    for listed in (web, names("worker.txt"), names("onnx.txt"), names("gpu.txt")):
        shared = listed.keys() & dev.keys() - {"torch"}
        assert {n: str(listed[n]) for n in shared} == {n: str(dev[n]) for n in shared}
        assert listed.keys() <= dev.keys()


# -- the compose files -------------------------------------------------------------------------


@pytest.mark.parametrize("file", files.COMPOSE.values(), ids=lambda file: file.name)
def test_a_compose_file_is_one_by_the_specification(file: Path) -> None:
    assert violations(file) == ""


def violations(file: Path) -> str:
    """What the compose specification's JSON schema has against a file."""
    check = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", file),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return check.stdout + check.stderr if check.returncode else ""


def test_the_specification_refuses_a_misspelt_key(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  web:\n    image: web\n    helthcheck: {}\n")
    assert "helthcheck" in violations(file)


def test_compose_files_in_the_docs_are_some_by_the_specification(tmp_path: Path) -> None:
    text = (files.ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.S)
    assert blocks
    for number, block in enumerate(blocks):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        assert violations(file) == ""
        assert yaml.safe_load(block)["services"]


def test_every_service_has_an_image_that_is_pinned_or_built_here() -> None:
    targets = {}
    for name, service in services().items():
        if "build" in service:
            build = service["build"]
            assert (build["context"], build["dockerfile"]) == ("..", "docker/Dockerfile")
            targets.setdefault(service["image"], set()).add(build["target"])
        else:
            assert PINNED.fullmatch(files.interpolated(service["image"], {})), name
    assert targets == {"marketplace-ai-web": {"web"}, "marketplace-ai-worker": {"worker"}}
    gpu = files.compose("compose.gpu.yaml")["services"]
    assert gpu["worker"]["build"]["target"] == "worker-cuda"
    assert gpu.keys() <= services().keys()


def test_build_arguments_are_those_of_the_dockerfile_with_its_defaults() -> None:
    arguments = {
        name: default
        for i in files.instructions()
        if i.word == "ARG"
        for name, _, default in [i.value.partition("=")]
    }
    for file in files.COMPOSE:
        for service in files.compose(file)["services"].values():
            for name, value in service.get("build", {}).get("args", {}).items():
                assert files.interpolated(value, {}) == arguments[name]


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_can_change_nothing_but_its_volume(name: str) -> None:
    service = services()[name]
    assert service["init"] and service["read_only"] and service["tmpfs"] == ["/tmp"]  # noqa: S108
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "entrypoint"} & service.keys()


def test_what_is_written_for_long_is_written_to_the_volume() -> None:
    volumes = files.compose()["volumes"]
    mounted = [v.split(":") for s in services().values() for v in s.get("volumes", ())]
    assert {source for source, _ in mounted} == volumes.keys()
    (cache,) = [target for source, target in mounted if source == "encoders"]
    for stage in ("worker", "worker-cuda"):
        environment = files.environment(stage)
        caches = {n: v for n, v in environment.items() if v.startswith("/var/cache")}
        assert {"MARKETPLACE_AI_CACHE_DIR", "HF_HOME"} <= caches.keys()
        assert all(Path(value).is_relative_to(cache) for value in caches.values())
        # A new volume is given the owner of the folder it is mounted on.
        assert any(f"--owner=app --group=app {cache}" in v for v in files.values(stage, "RUN"))


def test_every_service_tells_its_health_or_says_that_it_does_not() -> None:
    without = {n for n, s in services().items() if s.get("healthcheck") == {"disable": True}}
    assert without == {"migrate", "beat"}
    assert all(
        services()[name]["healthcheck"]["test"][0] == "CMD" for name in ("postgres", "redis")
    )


def test_a_service_waits_for_what_it_needs() -> None:
    for service in services().values():
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            if condition == "service_healthy":
                assert "test" in services()[needed]["healthcheck"]
            if condition == "service_completed_successfully":
                assert services()[needed]["restart"] == "no"


def test_a_stop_is_given_the_time_that_it_takes() -> None:
    assert seconds(services()["worker"]["stop_grace_period"]) > STOP_SECONDS
    graceful = files.command("web")[files.command("web").index("--graceful-timeout") + 1]
    assert seconds(services()["web"]["stop_grace_period"]) > int(graceful)


def test_nothing_listens_to_other_machines_and_no_secret_has_a_default() -> None:
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:${WEB_PORT:-8000}:8000"]
    assert files.environment("web")["PORT"] == "8000"
    found = files.variables("compose.yaml")
    assert {n for n, d in found.items() if d == {"?"}} == {"POSTGRES_PASSWORD", "DJANGO_SECRET_KEY"}


def test_every_variable_is_in_the_example() -> None:
    text = (files.ROOT / "docker/.env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.M))
    assert named == {v for name in files.COMPOSE for v in files.variables(name)}
    shown = dict(re.findall(r"^# ([A-Z]+_IMAGE)=(.*)$", text, re.M))
    assert shown == {
        n: d for n, (d,) in files.variables("compose.yaml").items() if n.endswith("_IMAGE")
    }


def test_the_gpu_worker_is_given_one_device() -> None:
    worker = files.compose("compose.gpu.yaml")["services"]["worker"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["${GPU:-0}"], "capabilities": ["gpu"]}
    assert files.environment("worker-cuda")["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
