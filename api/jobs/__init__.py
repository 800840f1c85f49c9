"""Work that goes on behind an answer: bulk export, and `$annotate` of large uploads.

::

    records.py      Job, Part: what the queue holds
    queue.py        JobQueue: the tables `job` and `job_part`, leases, fencing
    runner.py       JobRunner: the thread of a worker process that takes jobs and does them
    snapshot.py     the resources as they were at one instant, though writes go on
    export.py       what `$export` asks for, and the job that does it
    spool.py        uploads that wait on the disk
    annotating.py   the job that annotates a spooled upload, study by study
    answers.py      manifest, Bundle and NDJSON that tell of a job
    definitions.py  OperationDefinitions
    service.py      Jobs: the parts above, as the routes are handed them
"""
