-- Times are nanoseconds since 1970. Numbers of runs and births are 63 bits, as they are.
-- What is large stands last in its row, so that a scan does not read it.

-- What the rows stand for: the store, the place in its journal, and the newest lease at that place.
CREATE TABLE store (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    id       INTEGER NOT NULL,
    position INTEGER NOT NULL,
    epoch    INTEGER NOT NULL
) STRICT;

-- Instances, by birth: the run of their first generation.
CREATE TABLE instance (
    birth         INTEGER PRIMARY KEY,
    run           INTEGER NOT NULL, -- the current generation
    status        INTEGER NOT NULL, -- the protocol's OrchestrationStatus
    created       INTEGER NOT NULL,
    updated       INTEGER,
    completed     INTEGER,          -- NULL until it ends
    id            TEXT NOT NULL,
    name          TEXT NOT NULL,
    version       TEXT,
    execution     TEXT NOT NULL,
    parent        TEXT,             -- the parent's id
    tags          TEXT,             -- a JSON object, if there are any
    head          BLOB NOT NULL,    -- the rest of its head, encoded
    tail          BLOB NOT NULL,    -- the rest of its tail, encoded
    set_by        INTEGER,          -- the run that set the custom status, if one ever did
    custom_status TEXT,
    input         ANY,              -- text; bytes only if it is not UTF-8
    output        ANY
) STRICT;
CREATE UNIQUE INDEX instance_by_id ON instance (id);
CREATE INDEX instance_by_status ON instance (status, created);
CREATE INDEX instance_by_parent ON instance (parent, created) WHERE parent IS NOT NULL;
CREATE INDEX instance_by_completed ON instance (completed, id) WHERE completed IS NOT NULL;

-- Histories, in chunks: a protobuf message of `repeated HistoryEvent events = 1`.
CREATE TABLE history (
    run    INTEGER NOT NULL,
    first  INTEGER NOT NULL, -- the place of the chunk's first event in the history
    count  INTEGER NOT NULL,
    events BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX history_by_run ON history (run, first);

-- Events that no episode has taken yet, encoded.
CREATE TABLE inbox (
    run      INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    birth    INTEGER NOT NULL,
    event    BLOB NOT NULL,
    PRIMARY KEY (run, sequence)
) STRICT, WITHOUT ROWID;

-- Open activities.
CREATE TABLE task (
    birth             INTEGER NOT NULL,
    number            INTEGER NOT NULL,
    run               INTEGER NOT NULL,
    action            INTEGER NOT NULL, -- the event id of its TaskScheduled
    failed_dispatches INTEGER NOT NULL,
    place             INTEGER, -- of its TaskScheduled in the history of its run, unless that is in `event`
    name              TEXT NOT NULL,
    runs_as           TEXT,    -- the version that it runs as
    version           TEXT,    -- the orchestration's version
    execution         TEXT NOT NULL,
    event             BLOB,
    PRIMARY KEY (birth, number)
) STRICT, WITHOUT ROWID;

-- Open timers.
CREATE TABLE timer (
    run      INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    birth    INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    event_id INTEGER, -- of its TimerCreated; NULL for a start that is scheduled
    exact    BLOB,    -- the encoded Timestamp, where `due` does not say it
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX timer_by_due ON timer (due);

-- Messages between slots that are not acknowledged.
CREATE TABLE outbox (
    source   INTEGER NOT NULL,
    target   INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    message  BLOB NOT NULL,
    PRIMARY KEY (source, target, sequence)
) STRICT, WITHOUT ROWID;

-- The highest numbers sent from one slot to another, and received there.
CREATE TABLE pair (
    source   INTEGER NOT NULL,
    target   INTEGER NOT NULL,
    sent     INTEGER,
    received INTEGER,
    PRIMARY KEY (source, target)
) STRICT, WITHOUT ROWID;

-- For people.
CREATE VIEW instances AS SELECT
    id, name, version,
    CASE status
        WHEN 0 THEN 'RUNNING' WHEN 1 THEN 'COMPLETED' WHEN 2 THEN 'CONTINUED_AS_NEW' WHEN 3 THEN 'FAILED'
        WHEN 4 THEN 'CANCELED' WHEN 5 THEN 'TERMINATED' WHEN 6 THEN 'PENDING' WHEN 7 THEN 'SUSPENDED'
        ELSE status
    END AS status,
    strftime('%Y-%m-%dT%H:%M:%S', created / 1000000000, 'unixepoch')
        || printf('.%06dZ', created % 1000000000 / 1000) AS created,
    strftime('%Y-%m-%dT%H:%M:%S', updated / 1000000000, 'unixepoch')
        || printf('.%06dZ', updated % 1000000000 / 1000) AS updated,
    strftime('%Y-%m-%dT%H:%M:%S', completed / 1000000000, 'unixepoch')
        || printf('.%06dZ', completed % 1000000000 / 1000) AS completed,
    parent, tags, custom_status, input, output, execution, birth, run
FROM instance;
CREATE VIEW histories AS SELECT
    instance.id, first, count, length(events) AS bytes, events, history.run
FROM history JOIN instance ON instance.run = history.run;
CREATE VIEW inboxes AS SELECT
    instance.id, sequence, length(event) AS bytes, event, inbox.run
FROM inbox JOIN instance USING (birth);
CREATE VIEW tasks AS SELECT
    instance.id, task.number, task.name, runs_as AS version, action, failed_dispatches, task.execution, task.birth, task.run
FROM task JOIN instance USING (birth);
CREATE VIEW timers AS SELECT
    instance.id, number, strftime('%Y-%m-%dT%H:%M:%S', due / 1000000000, 'unixepoch')
        || printf('.%06dZ', due % 1000000000 / 1000) AS due,
    event_id, timer.birth, timer.run
FROM timer JOIN instance USING (birth);
