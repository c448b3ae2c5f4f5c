-- For lists of some statuses under a prefix. What has completed is not in it: nearly every instance comes to that, so a
-- walk over all ids soon finds a page of them, and an entry for each would double what settling writes to indexes.
CREATE INDEX instance_unless_completed ON instance (status, id) WHERE status <> 1;
