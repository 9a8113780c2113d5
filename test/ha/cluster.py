"""A cluster that Patroni manages: two servers and one etcd on this machine.

Everything lives in one directory, listens on the loopback only, on ports that
were free, and only processes started here are ended, by their ids.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request

SCOPE = "atomix"
# Whatever proxy the environment names does not lead to the loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def await_true(what, seconds, look):
    """Wait until look() gives something that is true, and return that."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def get_json(url, timeout=2):
    try:
        with OPENER.open(url, timeout=timeout) as answer:
            return json.load(answer)
    except OSError:
        return None


class Node:
    """A server and the Patroni that runs it."""

    def __init__(self, cluster, name, port, rest_port):
        self.cluster = cluster
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{rest_port}"
        self.data = os.path.join(cluster.directory, name)
        self.log = os.path.join(cluster.directory, name + ".log")
        self.config = os.path.join(cluster.directory, name + ".json")
        self.patroni = None
        with open(self.config, "w", encoding="ascii") as file:
            # JSON is YAML.
            json.dump(self.settings(rest_port), file, indent=2)

    def settings(self, rest_port):
        cluster = self.cluster
        return {
            "scope": SCOPE,
            "name": self.name,
            "restapi": {
                "listen": f"127.0.0.1:{rest_port}",
                "connect_address": f"127.0.0.1:{rest_port}",
            },
            "etcd3": {"hosts": [f"127.0.0.1:{cluster.etcd_port}"]},
            "bootstrap": {
                "dcs": {
                    "ttl": cluster.ttl,
                    "loop_wait": 2,
                    "retry_timeout": 4,
                    "maximum_lag_on_failover": 1048576,
                    "synchronous_mode": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "use_slots": True,
                        "parameters": {
                            "shared_preload_libraries": "atomix",
                            "max_connections": 60,
                            "synchronous_commit": "on",
                            "wal_keep_size": "128MB",
                        },
                    },
                },
                "initdb": [
                    {"encoding": "UTF8"},
                    {"locale": "C.UTF-8"},
                    "data-checksums",
                ],
                "pg_hba": [
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "bin_dir": cluster.bin_dir,
                "data_dir": self.data,
                "pgpass": self.data + ".pgpass",
                "authentication": {
                    "superuser": {"username": "postgres", "password": cluster.password},
                    "replication": {"username": "replicator", "password": cluster.password},
                },
                "parameters": {
                    "unix_socket_directories": cluster.directory,
                    # Patroni gives all servers the same cluster_name.
                    "atomix.leader_name": f"127.0.0.1:{self.port}",
                },
            },
        }

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.patroni = subprocess.Popen(["patroni", self.config], stdout=log,
                                            stderr=subprocess.STDOUT)

    def kill(self):
        """The crash of a machine: server and Patroni are gone at once."""
        with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as file:
            postmaster = int(file.readline())
        self.patroni.kill()
        os.kill(postmaster, signal.SIGKILL)
        self.patroni.wait()

    def stall(self):
        """The manager stands still, the server does not."""
        self.patroni.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.patroni.send_signal(signal.SIGCONT)

    def stop(self):
        if self.patroni is not None and self.patroni.poll() is None:
            self.go_on()
            self.patroni.terminate()
            try:
                self.patroni.wait(60)
            except subprocess.TimeoutExpired:
                self.patroni.kill()
                self.patroni.wait()


class Cluster:
    def __init__(self, directory, bin_dir, ttl):
        self.directory = directory
        self.bin_dir = bin_dir
        self.ttl = ttl
        self.password = secrets.token_hex(16)
        self.etcd = None
        self.etcd_port, peer_port, *ports = free_ports(6)
        self.peer = f"http://127.0.0.1:{peer_port}"
        self.nodes = [Node(self, f"node{i + 1}", ports[2 * i], ports[2 * i + 1])
                      for i in range(2)]

    def start(self):
        url = f"http://127.0.0.1:{self.etcd_port}"
        with open(os.path.join(self.directory, "etcd.log"), "w", encoding="utf-8") as log:
            self.etcd = subprocess.Popen(
                ["etcd", "--name", "etcd", "--data-dir", os.path.join(self.directory, "etcd"),
                 "--listen-client-urls", url, "--advertise-client-urls", url,
                 "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                 "--initial-cluster", f"etcd={self.peer}"],
                stdout=log, stderr=subprocess.STDOUT)
        await_true("etcd answers", 30, lambda: get_json(url + "/health"))
        for node in self.nodes:
            node.start()
        self.await_synchronous()

    def members(self):
        """What the managers say of the servers, by name."""
        for node in self.nodes:
            if node.patroni is not None and node.patroni.poll() is None:
                found = get_json(node.url + "/cluster")
                if found:
                    return {member["name"]: member for member in found.get("members", [])}
        return {}

    def leader(self):
        members = self.members()
        for node in self.nodes:
            if members.get(node.name, {}).get("role") == "leader":
                return node
        return None

    def other(self, node):
        return self.nodes[1 - self.nodes.index(node)]

    def await_leader(self, node, seconds):
        await_true(f"{node.name} leads", seconds, lambda: self.leader() is node)

    def await_synchronous(self):
        """Until a standby confirms the commits, so that it may take over."""
        await_true("a standby confirms", 120, lambda: any(
            member.get("role") == "sync_standby" and member.get("state") in ("running", "streaming")
            for member in self.members().values()))

    def switch_over(self, leader, candidate):
        request = urllib.request.Request(
            leader.url + "/switchover", method="POST",
            headers={"Content-Type": "application/json"},
            data=json.dumps({"leader": leader.name, "candidate": candidate.name}).encode())
        with OPENER.open(request, timeout=60) as answer:
            answer.read()

    def stop(self):
        for node in self.nodes:
            node.stop()
        if self.etcd is not None:
            self.etcd.terminate()
            self.etcd.wait(30)
