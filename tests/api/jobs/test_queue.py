"""The queue: each job once, leases, fences, and what is left behind."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from api.jobs.parts import lines_of, packed
from api.jobs.queue import TAKEOVERS, JobQueue, Lease, LeaseLostError
from api.jobs.records import JOURNAL, State
from api.store import SqlStore
from api.store.schema import job as job_table
from api.store.schema import job_part as part_table

pytestmark = pytest.mark.databases

KINDS = ("export",)


@pytest.fixture
def queue(store: SqlStore) -> JobQueue:
    return JobQueue(store.engine, writing=store.writing)


def taken(queue: JobQueue) -> Lease:
    lease = queue.take(KINDS)
    assert lease is not None
    return lease


def let_leases_run_out(queue: JobQueue) -> None:
    with queue.engine.begin() as connection:
        connection.execute(sa.update(job_table).values(lease_until=1))


def rows(queue: JobQueue) -> tuple[int, int]:
    with queue.engine.connect() as connection:
        return tuple(
            connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (job_table, part_table)
        )  # type: ignore[return-value]


def test_jobs_are_taken_in_the_order_in_which_they_came(queue: JobQueue) -> None:
    ids = [queue.submit("export", "me", {"number": number}, f"job{number}").id for number in "123"]
    assert [taken(queue).job.id for _ in ids] == ids
    assert queue.take(KINDS) is None


def test_a_job_is_what_was_submitted(queue: JobQueue) -> None:
    submitted = queue.submit("export", "jwt:me", {"kinds": ["Patient"]})
    lease = taken(queue)
    read = queue.read(submitted.id)
    assert read is not None
    assert (read.kind, read.owner, read.request) == ("export", "jwt:me", {"kinds": ["Patient"]})
    assert (lease.job.state, read.state, read.progress) == (State.RUNNING, State.RUNNING, {})
    assert queue.read("another") is None


def test_jobs_of_other_kinds_are_left(queue: JobQueue) -> None:
    queue.submit("annotate@elsewhere", "me", {})
    assert queue.take(KINDS) is None
    assert queue.take(("annotate@elsewhere", *KINDS)) is not None


def test_many_workers_take_each_job_once(queue: JobQueue) -> None:
    ids = {queue.submit("export", "me", {}).id for _ in range(24)}
    found: list[str] = []
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while (lease := queue.take(KINDS)) is not None:
                found.append(lease.job.id)
                queue.finish(lease, State.DONE, {})
        except BaseException as problem:  # noqa: BLE001
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not problems
    assert sorted(found) == sorted(ids)


def test_a_job_is_taken_again_when_its_lease_has_run_out(queue: JobQueue) -> None:
    queue.submit("export", "me", {})
    first = taken(queue)
    queue.commit(first, {"after": 7}, [packed(1, "Patient", ["{}"])])
    assert queue.take(KINDS) is None
    let_leases_run_out(queue)
    second = taken(queue)
    assert second.job.id == first.job.id
    assert second.job.progress == {"after": 7, TAKEOVERS: 1}


def test_who_lost_the_lease_writes_nothing_more(queue: JobQueue) -> None:
    job = queue.submit("export", "me", {})
    first = taken(queue)
    let_leases_run_out(queue)
    second = taken(queue)
    part = packed(1, "Patient", ["{}"])
    for write in (
        lambda: queue.commit(first, {"after": 1}, [part]),
        lambda: queue.renew(first),
        lambda: queue.finish(first, State.DONE, {}, [part]),
        lambda: queue.hand_back(first),
    ):
        with pytest.raises(LeaseLostError):
            write()
    assert queue.parts(job.id) == []
    assert queue.commit(second, {"after": 2}, [part])
    assert [one.count for one in queue.parts(job.id)] == [1]


def test_progress_forgets_how_often_the_job_was_taken_over(queue: JobQueue) -> None:
    queue.submit("export", "me", {})
    for number in (1, 2, 3):
        lease = taken(queue)
        assert lease.job.progress.get(TAKEOVERS, 0) == number - 1
        let_leases_run_out(queue)
    lease = taken(queue)
    queue.commit(lease, {"after": 1})
    let_leases_run_out(queue)
    assert taken(queue).job.progress[TAKEOVERS] == 1


def test_a_job_that_is_handed_back_goes_on_where_it_stood(queue: JobQueue) -> None:
    queue.submit("export", "me", {})
    lease = taken(queue)
    queue.commit(lease, {"after": 3})
    queue.hand_back(lease)
    again = taken(queue)
    assert again.job.progress == {"after": 3}
    queue.hand_back(again, seconds=3600)
    assert queue.take(KINDS) is None


def test_a_renewed_lease_commits(queue: JobQueue) -> None:
    queue.submit("export", "me", {})
    lease = taken(queue)
    assert queue.renew(lease)
    assert queue.renew(lease)
    assert queue.commit(lease, {})


def test_parts_come_back_as_they_were_written(queue: JobQueue) -> None:
    job = queue.submit("export", "me", {})
    lease = taken(queue)
    queue.commit(lease, {}, [packed(1, JOURNAL, ["{}"]), packed(2, "Patient", ['"ä"', '"b"'])])
    queue.finish(lease, State.DONE, {"status": 200}, [packed(3, "error", ["1"])], without=JOURNAL)
    assert [(one.name, one.count) for one in queue.parts(job.id)] == [("Patient", 2), ("error", 1)]
    part = queue.part(job.id, 2)
    assert part is not None
    assert lines_of(part) == ['"ä"', '"b"']
    assert part.file_name == "Patient-2.ndjson"
    assert queue.part(job.id, 1) is None
    done = queue.read(job.id)
    assert done is not None
    assert (done.state, done.result) == (State.DONE, {"status": 200})


@pytest.mark.parametrize("state", [State.QUEUED, State.DONE])
def test_a_cancelled_job_leaves_nothing(queue: JobQueue, state: State) -> None:
    job = queue.submit("export", "me", {})
    lease = taken(queue)
    queue.commit(lease, {}, [packed(1, "Patient", ["{}"])])
    if state is State.QUEUED:
        queue.hand_back(lease)
    else:
        queue.finish(lease, state, {})
    queue.cancel(job.id)
    assert rows(queue) == (0, 0)


def test_a_running_job_is_told_that_it_is_cancelled(queue: JobQueue) -> None:
    job = queue.submit("export", "me", {})
    lease = taken(queue)
    queue.cancel(job.id)
    read = queue.read(job.id)
    assert read is not None
    assert read.is_gone
    assert queue.unfinished("me") == 0
    assert not queue.renew(lease)
    assert not queue.commit(lease, {}, [packed(1, "Patient", ["{}"])])
    queue.finish(lease, State.CANCELLED, {})
    assert rows(queue) == (0, 0)


def test_only_jobs_that_are_over_expire(queue: JobQueue) -> None:
    kept = queue.submit("export", "me", {}, "waits")
    queue.submit("export", "me", {}, "zz-done")
    queue.take(KINDS)
    lease = taken(queue)
    queue.finish(lease, State.DONE, {}, [packed(1, "Patient", ["{}"])])
    done = queue.read("zz-done")
    assert done is not None
    assert queue.expire(done.updated) == []
    assert queue.expire(done.updated + 1) == ["zz-done"]
    assert rows(queue) == (1, 0)
    assert queue.unfinished_among(["waits", "zz-done", "never"]) == {kept.id}


def test_jobs_are_counted_by_owner_and_state(queue: JobQueue) -> None:
    for owner in ("me", "me", "you"):
        queue.submit("export", owner, {})
    queue.take(KINDS)
    assert (queue.unfinished("me"), queue.unfinished("you"), queue.unfinished("they")) == (2, 1, 0)
    assert queue.figures() == {("export", "queued"): 2, ("export", "running"): 1}
