-- Since when a task is held, and the dispatches that count against it (a protobuf message `Losses`), if there are any.
ALTER TABLE task ADD COLUMN held INTEGER;
ALTER TABLE task ADD COLUMN losses BLOB;

DROP VIEW tasks;
CREATE VIEW tasks AS SELECT
    instance.id, task.number, task.name, runs_as AS version, action, failed_dispatches,
    strftime('%Y-%m-%dT%H:%M:%S', held / 1000000000, 'unixepoch')
        || printf('.%06dZ', held % 1000000000 / 1000) AS held,
    task.execution, task.birth, task.run
FROM task JOIN instance USING (birth);
