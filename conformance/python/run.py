"""All scenarios of the Python SDK."""

import children
import events
import failures
import harness
import lifecycle
import management
import payloads
import queries
import steps
import workers

assert [children, events, failures, lifecycle, management, payloads, queries, steps, workers]
harness.main()
