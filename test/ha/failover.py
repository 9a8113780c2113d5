"""Clients at work while Patroni switches over and fails over.

Usage: failover.py DIRECTORY BIN_DIR

Prints a line for each thing that must hold, and what was measured.  Exit
status 0 only if all held.
"""

import signal
import sys
import time

from cluster import Cluster, await_true
from load import Asker, Consumer, Heir, Holder, Load, Worker, Writer

# Patroni takes a leader for dead when it has been silent for so long.
TTL = 20
# What is done, and how long nobody may be answered, in seconds.
FAULTS = [("switchover", 20), ("crash", TTL + 25)] * 2 + [("cut off", TTL + 40)]
WORKERS = 4
HOLDERS = 3

failed = 0
checks = 0


def check(held, what):
    global failed, checks
    checks += 1
    failed += not held
    print(f"{'ok' if held else 'not ok'} {checks} - {what}", flush=True)


def switch_over(cluster):
    leader = cluster.leader()
    cluster.switch_over(leader, cluster.other(leader))
    cluster.await_leader(cluster.other(leader), 60)


def fail_over(cluster):
    """Returns the server that is gone."""
    leader = cluster.leader()
    leader.kill()
    cluster.await_leader(cluster.other(leader), TTL + 60)
    return leader


def cut_off(cluster):
    """For a while the old leader can still be written to, beside the new one."""
    leader = cluster.leader()
    leader.stall()
    cluster.await_leader(cluster.other(leader), TTL + 60)
    time.sleep(5)
    leader.go_on()


ACTIONS = {"switchover": switch_over, "crash": fail_over, "cut off": cut_off}


def run_fault(cluster, load, name):
    """Returns how long nobody was answered."""
    began = time.monotonic()
    old = ACTIONS[name](cluster)
    led = time.monotonic()
    await_true("clients are answered", 60, lambda: load.answered_since(led))
    time.sleep(3)
    silence = load.longest_silence(began, time.monotonic())
    if old is not None:
        old.start()
    cluster.await_synchronous()
    time.sleep(3)
    return silence


def check_workers(workers, asker):
    values = sorted(value for worker in workers for value in worker.values)
    check(asker.ask("SELECT atomix.counter_get('c')")[0][0] == len(values),
          f"{len(values)} numbered calls were answered, and as many took effect")
    check(values == list(range(1, len(values) + 1)), "each of them once")
    held = sorted(pair for worker in workers for pair in worker.held)
    check(all(a[0] < b[0] and a[1] < b[1] for a, b in zip(held, held[1:])),
          f"{len(held)} times a lock was held, by tokens that grew from holder to holder")


def check_holders(holders, asker):
    held = dict(asker.ask("SELECT name, session_id || ' ' || token FROM atomix.locks"
                          " WHERE token IS NOT NULL"))
    check(all(held.get(holder.name) == f"{holder.session} {holder.token}" for holder in holders),
          "locks are held by the sessions that had them, with the same tokens")


def check_heirs(heirs, asker):
    for heir in heirs:
        reason = asker.ask("SELECT reason FROM atomix.sessions WHERE session_id = %s", heir.gone)
        check(reason == [("expired",)], "a session that nobody kept alive expired")
        check(heir.token is not None and heir.token > heir.first and heir.waited > 5,
              f"its lock went on, by a greater token, after {heir.waited or 0:.1f} s")


def check_consumer(consumer, writer):
    check(consumer.puts == list(range(1, writer.number + 1)),
          f"the stream told of each of {writer.number} changes once, in order")
    print(f"# it was resumed {consumer.resumed} times")


def check_terms(promotions, asker):
    terms = asker.ask("SELECT term, leader FROM atomix.partition_events(1) ORDER BY term")
    check([term for term, _ in terms] == list(range(1, promotions + 2)),
          f"the term rose by one with each of {promotions} promotions")
    check(all(a[1] != b[1] for a, b in zip(terms, terms[1:])), "each of another server")


def check_sessions(clients, asker):
    opened = asker.ask("SELECT count(*) FROM atomix.sessions WHERE state = 'opened'"
                       " AND session_id = ANY (%s)", [client.session for client in clients])[0][0]
    check(opened == len(clients), f"{opened} sessions with a timeout of 10 s outlived it all")


def create_extension(cluster, asker):
    await_true("there is a leader", 60, cluster.leader)
    asker.ask("CREATE EXTENSION IF NOT EXISTS atomix")
    print("#", asker.ask("SELECT version()")[0][0].split(" on ")[0], flush=True)


def run(cluster):
    cluster.start()
    load = Load(cluster)
    asker = Asker(load)
    create_extension(cluster, asker)
    workers = [Worker(load, f"worker {n}") for n in range(WORKERS)]
    holders = [Holder(load, f"holder {n}") for n in range(HOLDERS)]
    writer, consumer = Writer(load, "writer"), Consumer(load, "consumer")
    clients = workers + holders + [writer, consumer]
    heirs = []
    for client in clients:
        client.start()
    time.sleep(3)

    for name, longest in FAULTS:
        heirs.append(Heir(load, f"heir {len(heirs)}", f"gone {len(heirs)}"))
        heirs[-1].start()
        silence = run_fault(cluster, load, name)
        check(silence < longest, f"{name}: {silence:.1f} s without an answer, at most {longest}")

    writer.stop()
    await_true("the stream is read", 60,
               lambda: consumer.failure or consumer.puts[-1:] == [writer.number])
    # The sessions, too, are looked at while they are kept alive.
    clients += heirs
    check_sessions(clients, asker)
    complaints = [complaint for complaint in [c.stop() for c in clients] if complaint]
    check(not complaints, "; ".join(["all clients got their answers"] + complaints))
    check_workers(workers, asker)
    check_holders(holders, asker)
    check_heirs(heirs, asker)
    check_consumer(consumer, writer)
    check_terms(len(FAULTS), asker)
    print(f"# {sum(c.repeated for c in clients)} times a call was asked again")


def main():
    directory, bin_dir = sys.argv[1:]
    cluster = Cluster(directory, bin_dir, TTL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(cluster)
    finally:
        cluster.stop()
    print(f"1..{checks}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
