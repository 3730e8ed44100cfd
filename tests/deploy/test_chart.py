"""The Helm chart, rendered by Helm for several installations: valid by Kubernetes' schemas, and as intended.

Core kinds are validated against the schemas of kubernetes-validate, strictly: unknown keys are errors. Kinds of the
Prometheus Operator and of KEDA are validated against their own CRDs. KServe's module is not available from Go's proxy:
the chart uses few of its keys, and these are listed here.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from driftwatch.config import DaemonConfig, ServerConfig, load_config
from tests.deploy.tools import BUILD_S, HELM, KEDA, PROMETHEUS_OPERATOR, built, module

pytestmark = pytest.mark.timeout(BUILD_S)

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "driftwatch"
EXAMPLES = ROOT / "deploy" / "examples"
KUBERNETES = "1.33.0"
CRDS = {
    "ServiceMonitor": (
        PROMETHEUS_OPERATOR,
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
    "PrometheusRule": (
        PROMETHEUS_OPERATOR,
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "ScaledObject": (KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml"),
}

Values = dict[str, Any]
Manifest = dict[str, Any]

RUNBOOKS = "https://git.example.com/driftwatch/"
MINIMAL: Values = {
    "config": {
        "source": {"kind": "kafka", "bootstrap_servers": ["kafka-0:9092", "kafka-1:9092"], "topic": "requests"},
        "streams": [{"name": "fashion", "reference": "/bundles/fashion"}],
    },
    "bundles": {"volume": {"persistentVolumeClaim": {"claimName": "models"}}},
}
REMOTE: Values = {
    "config": {
        **MINIMAL["config"],
        "streams": [
            {"name": "fashion", "reference": "s3://models/fashion"},
            {"name": "flights", "reference": "models:/flights@production"},
        ],
    },
    "bundles": {"fetchSizeLimit": "2Gi"},
}
GPU: Values = {**MINIMAL, "workload": {"gpus": 1, "runtimeClassName": "nvidia"}}
STATEFUL: Values = {**MINIMAL, "workload": {"kind": "StatefulSet", "replicas": 3, "state": {"size": "5Gi"}}}
SPLIT: Values = {
    **MINIMAL,
    "splitRoles": True,
    "score": {"replicas": 4, "gpus": 1, "autoscaling": {"by": "lag", "maxReplicas": 8, "lagThreshold": 500}},
    "test": {"replicas": 2, "autoscaling": {"by": "cpu"}},
}
ALL: Values = {
    **SPLIT,
    "fullnameOverride": "watch",
    "imagePullSecrets": [{"name": "registry"}],
    "config": {
        **MINIMAL["config"],
        "source": {
            **MINIMAL["config"]["source"],
            "group": "vision",
            "max_message_bytes": 33_554_432,
            "security": {
                "protocol": "SASL_SSL",
                "ssl_cafile": "/etc/kafka/ca.pem",
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_username": "driftwatch",
                "sasl_password": "${KAFKA_PASSWORD}",
            },
        },
    },
    "env": [{"name": "KAFKA_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "kafka", "key": "password"}}}],
    "envFrom": [{"secretRef": {"name": "hooks"}}],
    "bundles": {
        "fetch": {
            "image": "registry.example.com/aws-cli:2",
            "command": ["aws", "s3", "cp", "--recursive", "s3://models/fashion", "/bundles/fashion"],
        }
    },
    "volumes": [{"name": "kafka-ca", "secret": {"secretName": "kafka-ca"}}],
    "volumeMounts": [{"name": "kafka-ca", "mountPath": "/etc/kafka", "readOnly": True}],
    "workload": {
        "kind": "StatefulSet",
        "priorityClassName": "monitoring",
        "nodeSelector": {"pool": "ml"},
        "tolerations": [{"key": "ml", "operator": "Exists"}],
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
        "podLabels": {"team": "platform"},
        "autoscaling": {"authenticationRef": {"name": "kafka"}},
    },
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}},
    "metrics": {
        "serviceMonitor": {"enabled": True, "job": "driftwatch-staging", "labels": {"release": "prom"}},
        "rules": {"enabled": True, "runbookUrl": RUNBOOKS},
    },
    "dashboards": {"enabled": True},
    "networkPolicy": {"enabled": True, "from": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]},
}
INTAKE: Values = {
    **MINIMAL,
    "config": {
        **MINIMAL["config"],
        "source": {
            "kind": "http",
            "port": 9465,
            "token": "${INTAKE_TOKEN}",
            "tls": {"certfile": "/etc/tls/tls.crt", "keyfile": "/etc/tls/tls.key"},
        },
    },
    "env": [{"name": "INTAKE_TOKEN", "valueFrom": {"secretKeyRef": {"name": "intake", "key": "token"}}}],
    "networkPolicy": {"enabled": True},
}
INSTALLATIONS: dict[str, Values] = {
    "minimal": MINIMAL,
    "remote": REMOTE,
    "gpu": GPU,
    "stateful": STATEFUL,
    "split": SPLIT,
    "all": ALL,
    "intake": INTAKE,
    **{path.name: yaml.safe_load(path.read_text()) for path in EXAMPLES.glob("*.values.yaml")},
}
EXAMPLE_CONFIGS = {
    path.stem: document["data"]["daemon.yaml"]
    for path in sorted(EXAMPLES.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document.get("kind") == "ConfigMap"
}


def helm(*command: str, values: Values) -> subprocess.CompletedProcess[str]:
    program = shutil.which("helm") or str(built(HELM))
    return subprocess.run(
        [program, *command, str(CHART), "--kube-version", KUBERNETES, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@functools.cache
def rendered(name: str) -> tuple[Manifest, ...]:
    done = helm("template", "drift", values=INSTALLATIONS[name])
    assert done.returncode == 0, done.stderr
    return tuple(each for each in yaml.safe_load_all(done.stdout) if each)


def manifests(name: str, *kinds: str) -> list[Manifest]:
    return [each for each in rendered(name) if each["kind"] in kinds]


def workloads(name: str) -> dict[str, Manifest]:
    found = manifests(name, "Deployment", "StatefulSet")
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in found}


def pod(workload: Manifest) -> Manifest:
    spec = workload["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def container(workload: Manifest) -> Manifest:
    found = pod(workload)["containers"][0]
    assert isinstance(found, dict)
    return found


def configuration(config_map: Manifest) -> Manifest:
    config = yaml.safe_load(config_map["data"]["daemon.yaml"])
    assert isinstance(config, dict)
    return config


def closed(schema: Any) -> Any:
    """A CRD's schema in which unknown keys are errors, as ``kubectl`` treats them, instead of being dropped."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict_schema = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict_schema.setdefault("additionalProperties", False)
    return strict_schema


@functools.cache
def crd_schema(kind: str) -> Manifest:
    named, path = CRDS[kind]
    versions = yaml.load((module(named) / path).read_text(), yaml.CSafeLoader)["spec"]["versions"]
    schema = versions[0]["schema"]["openAPIV3Schema"]
    return {**schema, "properties": {**schema["properties"], "spec": closed(schema["properties"]["spec"])}}


def check(manifest: Manifest) -> None:
    if manifest["kind"] in CRDS:
        jsonschema.Draft202012Validator(crd_schema(manifest["kind"])).validate(manifest)
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_rendered_manifests_are_valid(name: str) -> None:
    rendered_manifests = rendered(name)
    for manifest in rendered_manifests:
        check(manifest)
    named = [(each["kind"], each["metadata"]["name"]) for each in rendered_manifests]
    assert len(set(named)) == len(named)


def test_a_mistake_in_a_rendered_manifest_would_be_found() -> None:
    (monitor,) = manifests("all", "ServiceMonitor")
    monitor = json.loads(json.dumps(monitor))
    monitor["spec"]["endpoints"][0]["intervall"] = "5s"
    with pytest.raises(jsonschema.ValidationError, match="intervall"):
        check(monitor)


@pytest.mark.parametrize("name", ["minimal", "all"])
def test_helm_lint_finds_nothing(name: str) -> None:
    done = helm("lint", "--strict", values=INSTALLATIONS[name])
    assert done.returncode == 0, done.stdout
    assert "0 chart(s) failed" in done.stdout


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_the_daemon_accepts_the_rendered_configuration(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("POD_NAME", "KAFKA_PASSWORD", "INTAKE_TOKEN"):
        monkeypatch.setenv(variable, "a-name-or-secret")
    path = tmp_path / "daemon.yaml"
    for each in manifests(name, "ConfigMap"):
        if path.name in each["data"]:
            path.write_text(each["data"][path.name])
            loaded = load_config(path)
            assert (loaded.server.host, loaded.server.port) == ("0.0.0.0", ServerConfig().port)


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_pods_run_with_the_least_privileges(name: str) -> None:
    for each in workloads(name).values():
        spec = pod(each)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for every in [*spec["containers"], *spec.get("initContainers", [])]:
            assert every["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        volumes = {volume["name"] for volume in spec["volumes"]}
        claims = {claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", [])}
        assert {mount["name"] for mount in container(each)["volumeMounts"]} == volumes | claims


def test_the_default_is_one_workload_with_both_roles() -> None:
    (only,) = workloads("minimal").values()
    assert (only["kind"], only["spec"]["replicas"]) == ("Deployment", 1)
    (config_map,) = manifests("minimal", "ConfigMap")
    assert configuration(config_map)["roles"] == ["score", "test"]
    assert "instance" not in configuration(config_map)["source"]
    assert container(only)["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container(only)["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container(only)["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert {each["kind"] for each in rendered("minimal")} == {
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }


def test_bundles_behind_urls_need_no_volume_but_room_to_be_downloaded() -> None:
    (only,) = workloads("remote").values()
    volumes = {each["name"]: each for each in pod(only)["volumes"]}
    assert set(volumes) == {"config", "state", "tmp"}
    assert volumes["tmp"]["emptyDir"] == {"sizeLimit": "2Gi"}


def test_split_roles_are_separate_workloads_with_their_own_configurations() -> None:
    parts = workloads("split")
    assert set(parts) == {"score", "test"}
    roles = {each["metadata"]["name"]: configuration(each)["roles"] for each in manifests("split", "ConfigMap")}
    assert roles == {"drift-driftwatch-score": ["score"], "drift-driftwatch-test": ["test"]}
    for name, each in parts.items():
        mounted = next(volume for volume in pod(each)["volumes"] if volume["name"] == "config")
        assert mounted["configMap"]["name"] == f"drift-driftwatch-{name}"
    assert container(parts["score"])["resources"]["limits"] == {"memory": "2Gi", "nvidia.com/gpu": 1}
    assert container(parts["test"])["resources"]["limits"] == {"memory": "2Gi"}
    budgets = manifests("split", "PodDisruptionBudget")
    chosen = [each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for each in budgets]
    assert chosen == ["score", "test"]
    assert {each["spec"]["unhealthyPodEvictionPolicy"] for each in budgets} == {"AlwaysAllow"}


def test_a_gpu_pod_requests_the_gpu_and_is_replaced_one_at_a_time() -> None:
    (only,) = workloads("gpu").values()
    assert container(only)["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod(only)["runtimeClassName"] == "nvidia"
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod(only)["tolerations"]
    assert only["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_a_restarted_pod_of_a_stateful_set_keeps_its_identity_and_its_state() -> None:
    (only,) = workloads("stateful").values()
    assert (only["kind"], only["spec"]["podManagementPolicy"]) == ("StatefulSet", "Parallel")
    (config_map,) = manifests("stateful", "ConfigMap")
    assert configuration(config_map)["source"]["instance"] == "${POD_NAME}"
    assert {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in container(only)["env"]
    assert only["spec"]["volumeClaimTemplates"][0]["spec"]["resources"] == {"requests": {"storage": "5Gi"}}


def test_keda_scales_the_score_role_on_the_lag_of_its_group() -> None:
    (scaled,) = manifests("split", "ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "drift-driftwatch-score"
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (1, 8)
    assert scaled["spec"]["triggers"][0]["metadata"] == {
        "bootstrapServers": "kafka-0:9092,kafka-1:9092",
        "consumerGroup": "driftwatch",
        "topic": "requests",
        "lagThreshold": "500",
        "offsetResetPolicy": "earliest",
    }
    (by_cpu,) = manifests("split", "HorizontalPodAutoscaler")
    assert by_cpu["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "drift-driftwatch-test",
    }
    assert all("replicas" not in each["spec"] for each in workloads("split").values()), "the autoscaler sets them"


def test_keda_scales_the_test_role_on_its_own_group_and_the_panes_topic() -> None:
    values = {**SPLIT, "test": {"autoscaling": {"by": "lag"}}}
    rendered_manifests = [each for each in yaml.safe_load_all(helm("template", "x", values=values).stdout) if each]
    triggers = [
        each["spec"]["triggers"][0]["metadata"] for each in rendered_manifests if each["kind"] == "ScaledObject"
    ]
    assert [(each["consumerGroup"], each["topic"]) for each in triggers] == [
        ("driftwatch", "requests"),
        ("driftwatch.test", "driftwatch.panes"),
    ]


def test_an_intake_on_its_own_port_is_reachable() -> None:
    (service,), (policy,) = manifests("intake", "Service"), manifests("intake", "NetworkPolicy")
    (workload,) = workloads("intake").values()
    intake_port = {"name": "intake", "containerPort": 9465}
    assert intake_port in container(workload)["ports"]
    assert {"name": "intake", "port": 9465, "targetPort": "intake"} in service["spec"]["ports"]
    assert {"protocol": "TCP", "port": "intake"} in policy["spec"]["ingress"][0]["ports"]
    (config_map,) = manifests("intake", "ConfigMap")
    assert configuration(config_map)["source"]["host"] == "0.0.0.0"
    assert "host" not in configuration(manifests("intake.values.yaml", "ConfigMap")[0])["source"]


def test_every_optional_manifest_refers_to_what_the_others_define() -> None:
    (monitor,) = manifests("all", "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prom"
    assert monitor["spec"]["endpoints"][0]["relabelings"] == [
        {"targetLabel": "job", "replacement": "driftwatch-staging"}
    ]
    (service,) = manifests("all", "Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert (
        service["spec"]["selector"].items()
        <= workloads("all")["score"]["spec"]["template"]["metadata"]["labels"].items()
    )
    (rules,) = manifests("all", "PrometheusRule")
    rules_file = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text()
    assert rules["spec"] == yaml.safe_load(rules_file.replace("runbook_url: ", f"runbook_url: {RUNBOOKS}"))
    boards = {path.name: path.read_text() for path in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")}
    found = [each for each in manifests("all", "ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]
    assert {name: json.loads(text) for each in found for name, text in each["data"].items()} == {
        name: json.loads(text) for name, text in boards.items()
    }
    (policy,) = manifests("all", "NetworkPolicy")
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 9092, 9093}
    assert policy["spec"]["ingress"][0]["from"] == ALL["networkPolicy"]["from"]
    score = workloads("all")["score"]
    assert pod(score)["initContainers"][0]["volumeMounts"][0] == {"name": "bundles", "mountPath": "/bundles"}
    assert configuration(manifests("all", "ConfigMap")[0])["source"]["security"]["sasl_password"] == "${KAFKA_PASSWORD}"


def test_a_changed_configuration_replaces_the_pods() -> None:
    def config_checksum(values: Values) -> str:
        return re.findall(r"checksum/config: (\w{64})", helm("template", "x", values=values).stdout)[0]

    assert config_checksum(MINIMAL) != config_checksum(
        {**MINIMAL, "config": {**MINIMAL["config"], "windows": {"sizes": [100]}}}
    )
    assert config_checksum(MINIMAL) == config_checksum({**MINIMAL, "workload": {"replicas": 2}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**MINIMAL, "config": {}}, "say where samples come from"),
        ({**MINIMAL, "config": {"source": MINIMAL["config"]["source"]}}, "name at least one stream"),
        ({**MINIMAL, "bundles": {}}, "bundles.volume, or bundles.fetch"),
        (
            {**REMOTE, "config": {**REMOTE["config"], "streams": [*REMOTE["config"]["streams"], {"reference": "x"}]}},
            "bundles.volume, or bundles.fetch",
        ),
        ({**MINIMAL, "bundles": {**MINIMAL["bundles"], "fetch": {"image": "x"}}}, "not both"),
        ({**MINIMAL, "splitRole": True}, "splitRole"),
        ({**MINIMAL, "workload": {"replica": 2}}, "replica"),
        ({**MINIMAL, "workload": {"kind": "DaemonSet"}}, "StatefulSet"),
        ({**MINIMAL, "metrics": {"serviceMonitor": {"job": "models"}}}, "/metrics/serviceMonitor/job"),
        ({**MINIMAL, "config": {**MINIMAL["config"], "roles": ["score"]}}, "config"),
        (
            {**MINIMAL, "config": {**MINIMAL["config"], "source": {"kind": "http"}}, "splitRoles": True},
            "needs Kafka between the roles",
        ),
        (
            {**MINIMAL, "config": {**MINIMAL["config"], "source": {"kind": "http"}}, "workload": {"replicas": 2}},
            "let them forward to Kafka",
        ),
        (
            {
                **SPLIT,
                "config": {
                    **MINIMAL["config"],
                    "source": {**MINIMAL["config"]["source"], "bootstrap_servers": "${BROKERS}"},
                },
            },
            "KEDA cannot read",
        ),
    ],
)
def test_mistakes_in_values_are_reported(values: Values, message: str) -> None:
    done = helm("template", "x", values=values)
    assert done.returncode != 0
    assert message in done.stderr


def test_every_value_is_in_the_readme_and_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator(schema).check_schema(schema)
    readme = (CHART / "README.md").read_text()
    assert set(values) == set(schema["properties"]) - {"global"}
    assert set(values["workload"]) == set(schema["definitions"]["workload"]["properties"])
    for name in [*values, *values["workload"]]:
        assert re.search(rf"`{name}[.`]", readme), name
    block = re.search(r"```yaml\n(.+?)```", readme, re.DOTALL)
    assert block is not None
    assert helm("template", "x", values=yaml.safe_load(block[1])).returncode == 0


def sidecar_of(name: str) -> Manifest:
    """The container of driftwatch in the example's pods."""
    specs = [each["spec"] for each in yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text()) if "spec" in each]
    (spec,) = [each.get("predictor") or each["template"]["spec"] for each in specs]
    (sidecar,) = [each for each in spec["containers"] if each["name"] == "driftwatch"]
    assert isinstance(sidecar, dict)
    return sidecar


class TestExamples:
    @pytest.mark.parametrize("name", EXAMPLE_CONFIGS)
    def test_the_daemon_accepts_the_configuration_of_an_example(self, name: str) -> None:
        DaemonConfig.model_validate(yaml.safe_load(EXAMPLE_CONFIGS[name]), context={"base_directory": EXAMPLES})

    @pytest.mark.parametrize("name", ["kserve-logger", "kserve-sidecar", "deployment-sidecar"])
    def test_an_example_is_valid(self, name: str) -> None:
        for manifest in yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text()):
            if manifest["kind"] != "InferenceService":
                check(manifest)
                continue
            predictor = manifest["spec"]["predictor"]
            assert set(predictor) <= {"model", "logger", "containers", "volumes"}
            assert set(predictor["model"]) == {"modelFormat", "storageUri"}
            assert predictor["logger"]["mode"] == "request"
            if "containers" in predictor:  # the other keys of a predictor are those of a pod
                pod_keys = {key: predictor[key] for key in ("containers", "volumes")}
                check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod_keys})

    @pytest.mark.parametrize("name", ["kserve-sidecar", "deployment-sidecar"])
    def test_the_sidecar_does_not_affect_the_readiness_of_the_model(self, name: str) -> None:
        sidecar = sidecar_of(name)
        assert not [key for key in sidecar if key.endswith("Probe")]
        assert sidecar["command"] == ["tini", "-g", "--", "sh", "-c"]
        assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True

    @pytest.mark.parametrize("name", ["kserve-sidecar", "deployment-sidecar"])
    def test_a_sidecar_s_container_outlives_its_daemon_until_it_is_told_to_stop(
        self, name: str, tmp_path: Path
    ) -> None:
        """Its programs are replaced: a daemon that fails at once, and then one that ends as told, and a short pause."""
        calls = tmp_path / "calls"
        programs = {
            "driftwatch": 'echo "$@" >> $CALLS; [ $(wc -l < $CALLS) = 1 ] && exit 2; '
            "trap 'exit 0' TERM; kill -TERM 0; sleep 60 & wait",
            "sleep": f'[ "$1" = 30 ] || exec {shutil.which("sleep")} "$@"',
        }
        for program, script in programs.items():
            (tmp_path / program).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / program).chmod(0o755)
        sidecar = sidecar_of(name)
        started = [*sidecar["command"][sidecar["command"].index("sh") :], *sidecar["args"]]
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls)}
        done = subprocess.run(started, env=environment, start_new_session=True, check=False, timeout=60)
        assert done.returncode == 0
        assert calls.read_text().splitlines() == ["run /etc/driftwatch/daemon.yaml"] * 2

    def test_kserve_logs_to_the_chart_s_service(self) -> None:
        (manifest,) = yaml.safe_load_all((EXAMPLES / "kserve-logger.yaml").read_text())
        (service,) = manifests("intake.values.yaml", "Service")
        port = service["spec"]["ports"][0]["port"]
        expected = f"http://{service['metadata']['name']}.monitoring.svc.cluster.local:{port}/"
        assert manifest["spec"]["predictor"]["logger"]["url"] == expected
        streams = configuration(manifests("intake.values.yaml", "ConfigMap")[0])["streams"]
        assert manifest["metadata"]["name"] in [each["name"] for each in streams]
