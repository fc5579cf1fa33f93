"""The files of a cluster that the user guide shows say what it says of them."""

from pathlib import Path

import pytest
from astropy import units as u

yaml = pytest.importorskip("yaml")

FOLDER = Path(__file__).parents[2] / "docs" / "user_guide" / "cluster"
LEAST = 3 * u.GiB  # of a process


def read(name):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def bytes_of(text):
    """Kubernetes writes Gi for GiB."""
    return u.Quantity(text if text.endswith("B") else f"{text}B")


def hours(text):
    number = int(text[:-1])
    return number * {"h": u.h, "m": u.min}[text[-1]]


def test_jobqueue():
    slurm = read("jobqueue.yaml")["jobqueue"]["slurm"]
    # One thread for each process.
    assert slurm["processes"] == slurm["cores"] > 1
    assert bytes_of(slurm["memory"]) >= slurm["processes"] * LEAST
    clock = [int(number) for number in slurm["walltime"].split(":")]
    walltime = sum(n * unit for n, unit in zip(clock, (u.h, u.min, u.s), strict=True))
    arguments = slurm["worker-extra-args"]
    options = dict(zip(arguments[::2], map(hours, arguments[1::2]), strict=True))
    assert options["--lifetime"] + options["--lifetime-stagger"] < walltime
    assert all(isinstance(line, str) for line in slurm["job-script-prologue"])


def test_jobqueue_knows_its_keys():
    pytest.importorskip("dask_jobqueue")
    import dask

    known = {key.replace("_", "-") for key in dask.config.get("jobqueue.slurm")}
    assert read("jobqueue.yaml")["jobqueue"]["slurm"].keys() <= known


def test_kubernetes():
    cluster = read("kubernetes.yaml")
    assert (cluster["apiVersion"], cluster["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    name, spec = cluster["metadata"]["name"], cluster["spec"]
    (worker,) = spec["worker"]["spec"]["containers"]
    assert worker["args"][0] == "dask-worker"
    assert worker["args"][worker["args"].index("--nthreads") + 1] == "1"
    assert all(isinstance(argument, str) for argument in worker["args"])
    for resources in (worker["resources"]["requests"], worker["resources"]["limits"]):
        assert resources["cpu"] == "1"
        assert bytes_of(resources["memory"]) >= LEAST
    mounted = {mount["name"] for mount in worker["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["worker"]["spec"]["volumes"]}

    (scheduler,) = spec["scheduler"]["spec"]["containers"]
    assert scheduler["image"] == worker["image"]
    ports = {port["name"]: port["containerPort"] for port in scheduler["ports"]}
    service = spec["scheduler"]["service"]
    assert service["selector"]["dask.org/cluster-name"] == name
    assert {port["targetPort"] for port in service["ports"]} == ports.keys()
    # The address that the page gives.
    page = (FOLDER.parent / "scaling.rst").read_text(encoding="utf-8")
    assert f"tcp://{name}-scheduler:{ports['tcp-comm']}" in page
