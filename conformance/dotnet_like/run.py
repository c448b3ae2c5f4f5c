"""What no SDK's own worker can be made to do, rpc by rpc, and what .NET does by the notes of its source."""

import clients
import harness
import histories
import items
import lifecycle
import sharing
import tokenless
import tokens

assert [clients, histories, items, lifecycle, sharing, tokenless, tokens]
harness.main()
