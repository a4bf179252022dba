"""What the Python client does against a cluster: one step after the other, each told by its name. Ends with 1 at the first that fails.

Run by `tests/python.rs` with a kubeconfig and an image; `kubernetes` is on the PYTHONPATH.
"""

import sys
import threading
import time

import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream

NAMESPACE = "python"
LIMIT = 60


def main(kubeconfig, image):
    config.load_kube_config(kubeconfig)
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    steps = [
        version, made_and_read, lists_in_pages, watched, patched, applied, replaced_with_conflict,
        invalid_told_with_causes, deployment, scaled, pod_runs, executed, port_forwarded, dynamic_client,
        from_yaml, forbidden, deleted,
    ]
    for step in steps:
        start = time.monotonic()
        step(core, apps, image)
        print(f"ok {time.monotonic() - start:5.2f} s {step.__name__}", flush=True)
    print("all done")


def check(good, *said):
    if not good:
        raise AssertionError(" ".join(str(one) for one in said))


def refused(code, call):
    try:
        call()
    except ApiException as error:
        check(error.status == code, error.status, error.body)
        return error
    raise AssertionError(f"should have been refused with {code}")


def config_map(name, data, labels=None):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


def version(core, apps, image):
    told = client.VersionApi().get_code()
    check(told.major == "1", told)
    check("v1" in client.CoreApi().get_api_versions().versions)
    groups = {group.name for group in client.ApisApi().get_api_versions().groups}
    check({"apps", "policy", "rbac.authorization.k8s.io"} <= groups, groups)


def made_and_read(core, apps, image):
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    made = core.create_namespaced_config_map(NAMESPACE, config_map("one", {"a": "1"}, {"of": "python"}))
    read = core.read_namespaced_config_map("one", NAMESPACE)
    check(read.metadata.uid == made.metadata.uid and read.data == {"a": "1"}, read)
    check(refused(409, lambda: core.create_namespaced_config_map(NAMESPACE, config_map("one", {}))).reason == "Conflict")
    refused(404, lambda: core.read_namespaced_config_map("none", NAMESPACE))


def lists_in_pages(core, apps, image):
    for number in range(5):
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{number}", {}, {"of": "pages"}))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="of=pages", limit=2, _continue=token)
        names += [one.metadata.name for one in page.items]
        token = page.metadata._continue
        if not token:
            break
    check(names == [f"page-{number}" for number in range(5)], names)
    found = core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=one")
    check([one.metadata.name for one in found.items] == ["one"], found)


def watched(core, apps, image):
    since = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version

    def change():
        core.create_namespaced_config_map(NAMESPACE, config_map("seen", {"a": "1"}))
        core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"a": "2"}})
        core.delete_namespaced_config_map("seen", NAMESPACE)

    changes, seen = threading.Thread(target=change), []
    changes.start()
    events = watch.Watch()
    for event in events.stream(
        core.list_namespaced_config_map, NAMESPACE, resource_version=since, timeout_seconds=LIMIT,
        field_selector="metadata.name=seen",
    ):
        seen.append((event["type"], (event["object"].data or {}).get("a")))
        if event["type"] == "DELETED":
            events.stop()
    changes.join()
    check(seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")], seen)


def patched(core, apps, image):
    merged = core.patch_namespaced_config_map("one", NAMESPACE, {"data": {"b": "2", "a": None}})
    check(merged.data == {"b": "2"}, merged.data)
    # A list as the body is a JSON patch.
    changed = core.patch_namespaced_config_map("one", NAMESPACE, [{"op": "add", "path": "/data/c", "value": "3"}])
    check(changed.data == {"b": "2", "c": "3"}, changed.data)


def applied(core, apps, image):
    resources = dynamic.DynamicClient(client.ApiClient()).resources
    maps = resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"a": "1"}}
    first = maps.server_side_apply(body=body, namespace=NAMESPACE, field_manager="first")
    again = maps.server_side_apply(body=body, namespace=NAMESPACE, field_manager="first")
    check(first.metadata.resourceVersion == again.metadata.resourceVersion, "applying again changed something")
    body["data"]["a"] = "2"
    error = refused(409, lambda: maps.server_side_apply(body=body, namespace=NAMESPACE, field_manager="second"))
    check("Apply failed with 1 conflict" in str(error.body), error.body)
    forced = maps.server_side_apply(body=body, namespace=NAMESPACE, field_manager="second", force_conflicts=True)
    managers = {entry.manager for entry in forced.metadata.managedFields}
    check(forced.data.a == "2" and "second" in managers, forced)


def replaced_with_conflict(core, apps, image):
    old = core.read_namespaced_config_map("one", NAMESPACE)
    core.patch_namespaced_config_map("one", NAMESPACE, {"data": {"d": "4"}})
    old.data = {"e": "5"}
    error = refused(409, lambda: core.replace_namespaced_config_map("one", NAMESPACE, old))
    check("the object has been modified" in error.body, error.body)


def invalid_told_with_causes(core, apps, image):
    pod = {"metadata": {"name": "bad"}, "spec": {"containers": []}}
    error = refused(422, lambda: core.create_namespaced_pod(NAMESPACE, pod))
    causes = yaml.safe_load(error.body)["details"]["causes"]
    check(causes == [{"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers"}], causes)


def deployment(core, apps, image):
    labels, command = {"app": "sleeper"}, ["sh", "-c", "echo started; exec sleep 10000"]
    container = client.V1Container(name="main", image=image, command=command, image_pull_policy="Never")
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels),
        spec=client.V1PodSpec(containers=[container], termination_grace_period_seconds=0),
    )
    spec = client.V1DeploymentSpec(selector=client.V1LabelSelector(match_labels=labels), template=template)
    body = client.V1Deployment(metadata=client.V1ObjectMeta(name="sleeper"), spec=spec)
    made = apps.create_namespaced_deployment(NAMESPACE, body)
    check(made.spec.replicas == 1 and made.spec.strategy.rolling_update.max_surge == "25%", made.spec)


def scaled(core, apps, image):
    apps.patch_namespaced_deployment_scale("sleeper", NAMESPACE, {"spec": {"replicas": 2}})
    check(apps.read_namespaced_deployment_scale("sleeper", NAMESPACE).spec.replicas == 2)


def pod_runs(core, apps, image):
    events = watch.Watch()
    for event in events.stream(apps.list_namespaced_deployment, NAMESPACE, timeout_seconds=LIMIT):
        if event["object"].status.available_replicas == 2:
            events.stop()
            return
    raise AssertionError("the deployment has not become available")


def pods(core):
    return [pod.metadata.name for pod in core.list_namespaced_pod(NAMESPACE, label_selector="app=sleeper").items]


def executed(core, apps, image):
    name = pods(core)[0]
    check(core.read_namespaced_pod_log(name, NAMESPACE) == "started\n")
    lines = watch.Watch().stream(core.read_namespaced_pod_log, name, NAMESPACE)
    check(next(iter(lines)) == "started")
    run = core.connect_get_namespaced_pod_exec
    said = stream(run, name, NAMESPACE, command=["echo", "hello"], stdout=True, stderr=True, stdin=False, tty=False)
    check(said == "hello\n", said)
    shell = stream(
        run, name, NAMESPACE, command=["sh"], stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False
    )
    shell.write_stdin("echo out; echo err >&2; exit 3\n")
    shell.run_forever(timeout=LIMIT)
    check((shell.read_stdout(), shell.read_stderr()) == ("out\n", "err\n"))
    check(shell.returncode == 3, shell.returncode)


def port_forwarded(core, apps, image):
    name = pods(core)[0]
    serve = "printf 'answered' | nc -l -p 8099"
    server = stream(
        core.connect_get_namespaced_pod_exec, name, NAMESPACE, command=["sh", "-c", serve],
        stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False,
    )
    deadline = time.monotonic() + LIMIT
    answer = b""
    while answer != b"answered" and time.monotonic() < deadline:
        # Whoever comes before the server listens is cut off.
        forward = portforward(core.connect_get_namespaced_pod_portforward, name, NAMESPACE, ports="8099")
        socket = forward.socket(8099)
        socket.setblocking(True)
        socket.settimeout(LIMIT)
        answer = socket.recv(100)
        socket.close()
    server.close()
    check(answer == b"answered", answer)


def dynamic_client(core, apps, image):
    resources = dynamic.DynamicClient(client.ApiClient()).resources
    deployments = resources.get(api_version="apps/v1", kind="Deployment")
    found = deployments.get(name="sleeper", namespace=NAMESPACE)
    check(found.spec.replicas == 2, found)


def from_yaml(core, apps, image):
    service = f"""
apiVersion: v1
kind: Service
metadata: {{name: sleeper, namespace: {NAMESPACE}}}
spec: {{selector: {{app: sleeper}}, ports: [{{port: 80, targetPort: 8099}}]}}
"""
    utils.create_from_yaml(client.ApiClient(), yaml_objects=[yaml.safe_load(service)])
    made = core.read_namespaced_service("sleeper", NAMESPACE)
    check(made.spec.cluster_ip and made.spec.ports[0].protocol == "TCP", made)


def forbidden(core, apps, image):
    core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "nobody"}})
    token = core.create_namespaced_service_account_token("nobody", NAMESPACE, {"spec": {"expirationSeconds": 600}})
    own = client.Configuration.get_default_copy()
    own.cert_file = own.key_file = None
    own.api_key = {"authorization": f"Bearer {token.status.token}"}
    other = client.CoreV1Api(client.ApiClient(own))
    error = refused(403, lambda: other.list_namespaced_pod(NAMESPACE))
    check(f"system:serviceaccount:{NAMESPACE}:nobody" in error.body, error.body)
    who = client.AuthenticationV1Api(client.ApiClient(own)).create_self_subject_review({})
    check(who.status.user_info.username == f"system:serviceaccount:{NAMESPACE}:nobody", who)


def deleted(core, apps, image):
    apps.delete_namespaced_deployment("sleeper", NAMESPACE, propagation_policy="Foreground")
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="of=pages")
    left = core.list_namespaced_config_map(NAMESPACE, label_selector="of=pages").items
    check(not left, left)
    since = core.list_namespace().metadata.resource_version
    core.delete_namespace(NAMESPACE)
    events = watch.Watch()
    for event in events.stream(
        core.list_namespace, field_selector=f"metadata.name={NAMESPACE}", resource_version=since, timeout_seconds=LIMIT
    ):
        if event["type"] == "DELETED":
            events.stop()
            return
    raise AssertionError("the namespace has not gone")


if __name__ == "__main__":
    main(*sys.argv[1:])
